from pathlib import Path

import pytest

from airlift import files, strict
from airlift.bundle.manifest import ReleaseRef
from airlift.errors import (
    BusyError,
    DigestError,
    FormatTooNewError,
    MalformedError,
    NotHeldError,
    UncheckedError,
    UsageError,
)
from airlift.low.depot import depot as depot_module
from airlift.low.depot.depot import create_depot, mark_depot, open_depot
from airlift.low.depot.events import read_events, record
from tests.support.depots import NOW, signed_site
from tests.support.weights import weights


def test_no_depot(tmp_path: Path) -> None:
    with pytest.raises(UncheckedError, match="is not a depot") as caught:
        open_depot(tmp_path)
    assert "airlift low init" in caught.value.hint


def test_a_newer_depot(tmp_path: Path) -> None:
    (tmp_path / "depot.json").write_bytes(strict.format({"airlift": 2, "type": "depot"}))
    with pytest.raises(FormatTooNewError):
        open_depot(tmp_path)


def test_a_foreign_file(tmp_path: Path) -> None:
    (tmp_path / "depot.json").write_bytes(b"{}")
    with pytest.raises(MalformedError):
        open_depot(tmp_path)


def test_documents_are_kept_by_digest(tmp_path: Path) -> None:
    depot = create_depot(tmp_path)
    digest = depot.documents.keep(b"{}")
    assert depot.documents.keep(b"{}") == digest
    assert depot.documents.load(digest) == b"{}"
    path = tmp_path / "documents" / f"{digest[:64]}.json"
    path.chmod(0o644)
    path.write_bytes(b"[]")
    with pytest.raises(DigestError, match="has changed"):
        depot.documents.load(digest)


def test_releases_by_name_digest_and_prefix(tmp_path: Path) -> None:
    depot = create_depot(tmp_path)
    one, two = ReleaseRef("ab" * 64, "a", "1"), ReleaseRef("ab" * 20 + "cd" * 44, "a", "2")
    depot.write_releases((one, two))
    assert depot.releases() == (one, two)
    assert depot.find_release("a@2") == two
    assert depot.find_release(one.digest) == one
    assert depot.find_release(two.digest[:50]) == two
    with pytest.raises(UsageError, match="fits several"):
        depot.find_release("ab" * 6)
    for name in ("a@3", "ab" * 5 + "a", "nothex", "cd" * 8):
        with pytest.raises(NotHeldError) as caught:
            depot.find_release(name)
        assert caught.value.exit_code == 5


def test_the_index_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depot_module, "MAX_RELEASES", 0)
    with pytest.raises(UsageError, match="too many"):
        create_depot(tmp_path).write_releases((ReleaseRef("ab" * 64, "a", "1"),))


def test_one_command_at_a_time_sweeps_what_another_left(tmp_path: Path) -> None:
    depot = signed_site(tmp_path).depot
    left = [folder / ".tmp-left" for folder in (depot.folder, depot.content.folder, depot.enclaves)]
    for path in left:
        path.write_bytes(b"")
    with depot.lock():
        assert not any(path.exists() for path in left)
        with pytest.raises(BusyError), depot.lock():
            pass


def test_root_json_is_put_right(tmp_path: Path) -> None:
    depot = signed_site(tmp_path).depot
    good = depot.root.read_bytes()
    depot.root.write_bytes(b"{}")
    with depot.lock():
        assert depot.root.read_bytes() == good
    depot.root.unlink()
    with depot.lock():
        assert depot.root.read_bytes() == good


def test_an_unmarked_folder_is_no_depot(tmp_path: Path) -> None:
    depot = create_depot(tmp_path)
    with pytest.raises(UncheckedError):
        open_depot(tmp_path)
    mark_depot(depot)
    assert open_depot(tmp_path) == depot


def test_content_that_came_in_is_read_only(tmp_path: Path) -> None:
    site = signed_site(tmp_path)
    site.release({"base": {"model.safetensors": weights(1)}})
    (entry,) = site.depot.load_release("assistant@1").components[0].files
    path = site.depot.content.path(entry.sha512)
    assert path.parent.name == entry.sha512[:2]
    assert path.stat().st_mode & 0o777 == 0o444
    assert path.read_bytes() == weights(1)


def test_log(tmp_path: Path) -> None:
    depot = create_depot(tmp_path)
    assert read_events(depot) == ()
    record(depot, NOW, "one", count=1)
    with depot.log.open("ab") as file:
        file.write(b'{"torn')
    assert [item.event for item in read_events(depot)] == ["one"]
    record(depot, NOW, "two", names=["a"])
    assert [(item.time, item.event, item.detail) for item in read_events(depot)] == [
        ("2026-11-21T12:00:00Z", "one", {"count": 1}),
        ("2026-11-21T12:00:00Z", "two", {"names": ["a"]}),
    ]


def test_a_log_with_foreign_lines(tmp_path: Path) -> None:
    depot = create_depot(tmp_path)
    depot.log.write_bytes(b"{}\n")
    with pytest.raises(MalformedError):
        read_events(depot)


def test_append_drops_a_torn_line_of_any_length(tmp_path: Path) -> None:
    path = tmp_path / "log"
    files.append_durable(path, b"one\n")
    with path.open("ab") as file:
        file.write(b"x" * (2 * files.COPY_BYTES + 5))
    files.append_durable(path, b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"
    path.write_bytes(b"torn from the start")
    files.append_durable(path, b"three\n")
    assert path.read_bytes() == b"three\n"
