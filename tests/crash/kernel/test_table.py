"""The table of what was tried, and the digest by which what was judged is known again."""

from pathlib import Path

from tests.crash.fingerprint import fingerprint
from tests.crash.kernel import table


def test_counts_are_added_up() -> None:
    recorded = [(table.PROPERTY, ["gc", "EIO", 1200]), ("other", 1), (table.PROPERTY, ["gc", "EIO", 3])]
    recorded.append((table.PROPERTY, ["check", "killed", 1]))
    assert table.format_table(table.add_up(recorded), ["check", "gc"], ["EIO"]) == [
        "| command | EIO | killed |",
        "| --- | ---: | ---: |",
        "| check |  | 1 |",
        "| gc | 1,203 |  |",
        "| **all** | 1,203 | 1 |",
    ]


def test_the_document_has_room_for_the_table() -> None:
    text = table.RELIABILITY.read_text()
    changed = table.put_between_marks(text, ["| new |"])
    assert "| new |" in changed
    assert changed.partition(table.BEGIN)[0] == text.partition(table.BEGIN)[0]
    assert changed.partition(table.END)[2] == text.partition(table.END)[2]


def test_a_state_is_known_again_by_everything_but_random_names(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".tmp-0123456789abcdef").write_bytes(b"x")
    first = fingerprint(tmp_path)
    (tmp_path / "a" / ".tmp-0123456789abcdef").rename(tmp_path / "a" / ".tmp-fedcba9876543210")
    assert fingerprint(tmp_path) == first
    found = {first}
    (tmp_path / "a" / ".tmp-fedcba9876543210").write_bytes(b"y")
    found.add(fingerprint(tmp_path))
    (tmp_path / "a" / ".tmp-fedcba9876543210").chmod(0o400)
    found.add(fingerprint(tmp_path))
    (tmp_path / "b").hardlink_to(tmp_path / "a" / ".tmp-fedcba9876543210")
    found.add(fingerprint(tmp_path))
    (tmp_path / "b").unlink()
    (tmp_path / "b").write_bytes(b"y")
    (tmp_path / "b").chmod(0o400)
    found.add(fingerprint(tmp_path))
    (tmp_path / "b").unlink()
    (tmp_path / "b").symlink_to("a")
    found.add(fingerprint(tmp_path))
    assert len(found) == 6


def test_of_a_journal_only_a_whole_one_counts(tmp_path: Path) -> None:
    journal = tmp_path / "ledger.db-journal"
    journal.write_bytes(bytes(512))
    first = fingerprint(tmp_path)
    journal.write_bytes(bytes(512) + b"more")
    assert fingerprint(tmp_path) == first
    journal.write_bytes(bytes.fromhex("d9d505f920a163d7") + b"more")
    assert fingerprint(tmp_path) != first
