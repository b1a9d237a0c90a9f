"""What depots and enclaves keep in the same way: content, documents, references, folders that appear whole."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from airlift import files
from airlift.errors import AirliftError, BusyError, DigestError, ExistsError, LedgerError, UncheckedError
from airlift.store.content import ContentFolder, digest_file
from airlift.store.digests import Digested
from airlift.store.documents import DocumentFolder
from airlift.store.release_lookup import find
from airlift.store.whole_folders import LOCK, Place, building, check_free

DATA = b"weights"
SHA512 = hashlib.sha512(DATA).hexdigest()


def silent(_count: int) -> None:
    pass


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- content -------------------------------------------------------------------------------------------------------


@pytest.fixture
def content(tmp_path: Path) -> ContentFolder:
    return ContentFolder(files.make_folder(tmp_path / "content"))


def take(content: ContentFolder, path: Path, *sizes: int) -> Digested:
    with files.opened(path) as descriptor:
        return content.keep(descriptor, path, silent, sizes=sizes)


@pytest.mark.parametrize("sizes", [(), (len(DATA),)], ids=["while copied", "before it is copied"])
def test_what_is_refused_is_not_kept(content: ContentFolder, tmp_path: Path, sizes: tuple[int, ...]) -> None:
    source, seen = tmp_path / "source", []
    source.write_bytes(DATA)

    def refuse(path: Path, sha256: str) -> None:
        seen.append((path, sha256, content.places()))
        raise DigestError("refused")

    with files.opened(source) as descriptor, pytest.raises(DigestError):
        content.keep(descriptor, source, silent, sizes=sizes, check=refuse)
    assert seen == [(source, hashlib.sha256(DATA).hexdigest(), [])]
    assert names(content.folder) == []


def test_a_file_is_taken_in_once(content: ContentFolder, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(DATA)
    expected = Digested(len(DATA), SHA512, hashlib.sha256(DATA).hexdigest(), new=True)
    assert take(content, source) == expected
    path = tmp_path / "content" / SHA512[:2] / SHA512
    assert content.path(SHA512) == path
    assert content.places() == [str(path)]
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (DATA, 0o444)
    before = path.stat().st_ino
    assert not take(content, source).new
    assert not take(content, source, len(DATA)).new
    assert (path.stat().st_ino, names(content.folder)) == (before, [SHA512[:2]])


def test_content_is_held_verified_and_removed(content: ContentFolder, tmp_path: Path) -> None:
    source = tmp_path / "built"
    source.write_bytes(DATA)
    assert content.verified_stamp(SHA512, silent) is None
    assert not content.holds(SHA512, len(DATA))
    content.adopt(source, SHA512)
    assert not source.exists()
    assert content.holds(SHA512, len(DATA))
    assert not content.holds(SHA512, len(DATA) + 1)
    assert content.verified_stamp(SHA512, silent)
    assert (digest_file(content.path(SHA512)), digest_file(content.path(SHA512), "sha256")) == (
        SHA512, hashlib.sha256(DATA).hexdigest(),
    )  # fmt: skip
    content.path(SHA512).write_bytes(b"changed")
    assert content.verified_stamp(SHA512, silent) is None
    content.remove([SHA512])
    assert content.places() == []


# -- documents -----------------------------------------------------------------------------------------------------


def changed(path: Path) -> AirliftError:
    return LedgerError(f"{path.name} changed")


def missing(path: Path) -> AirliftError:
    return LedgerError(f"{path.name} missing")


def test_documents_are_kept_once_and_checked(tmp_path: Path) -> None:
    documents = DocumentFolder(tmp_path, changed, missing)
    digest = documents.keep(DATA)
    path = documents.path(digest)
    before = path.stat().st_ino
    assert (digest, path.name) == (SHA512, f"{SHA512[:64]}.json")
    assert documents.keep(DATA) == digest
    assert path.stat().st_ino == before, "written once"
    assert documents.load(digest) == DATA
    with pytest.raises(DigestError, match="too long"):
        documents.load(digest, len(DATA) - 1)
    with pytest.raises(LedgerError, match="missing"):
        documents.load("0" * 128)
    with pytest.raises(UncheckedError, match="cannot read"):
        DocumentFolder(tmp_path, changed).load("0" * 128)
    path.chmod(0o644)
    path.write_bytes(b"other")
    with pytest.raises(LedgerError, match="changed"):
        documents.load(digest)


# -- references ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Item:
    label: str
    digest: str


ONE, TWO, THREE = Item("a@1", "ab" * 64), Item("a@2", "ab" * 20 + "cd" * 44), Item("a@3", "ef" * 64)


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("a@1", (ONE,)),
        ("ab" * 64, (ONE,)),
        ("ef" * 6, (THREE,)),
        ("ab" * 6, (ONE, TWO)),
        ("ef" * 5 + "e", ()),
        ("EF" * 6, ()),
        ("a@", ()),
        ("", ()),
    ],
)
def test_a_release_is_found_by_name_digest_or_prefix(reference: str, found: tuple[Item, ...]) -> None:
    assert find(reference, (ONE, TWO, THREE)) == found


# -- folders -------------------------------------------------------------------------------------------------------


def test_only_an_empty_folder_is_free(tmp_path: Path) -> None:
    check_free(tmp_path, "another")
    check_free(tmp_path / "missing", "another")
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path, tmp_path / "file"):
        with pytest.raises(ExistsError, match="is not empty") as caught:
            check_free(folder, "another")
        assert caught.value.hint == "another"


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    place = tmp_path / "above" / "place"
    files.make_folder(place.parent / ".tmp-place" / "left by a run that was killed")
    with building(place) as folder:
        assert names(folder) == []
        (folder / "file").write_bytes(DATA)
        assert not place.exists()
    assert (names(place.parent), names(place)) == (["place"], ["file"])


def test_a_folder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), building(tmp_path / "place"):
        raise ZeroDivisionError
    (tmp_path / "full" / "file").mkdir(parents=True)
    with pytest.raises(AirliftError), building(tmp_path / "full"):
        pass
    assert names(tmp_path) == ["full"]


def test_a_lock_is_held_until_the_folder_stands_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = files.rename_durable

    def renamed(source: Path, target: Path) -> None:
        rename(source, target)
        with pytest.raises(BusyError), files.lock(target / LOCK):
            pass

    monkeypatch.setattr(files, "rename_durable", renamed)
    with building(tmp_path / "place", locked=True):
        pass
    assert (tmp_path / "place" / LOCK).stat().st_size == 0, "given back in good order"


def test_a_place_lies_below_its_owner(tmp_path: Path) -> None:
    @dataclass(frozen=True, slots=True)
    class Owner:
        folder: Path
        roots = Place("trust", "roots")

    assert Owner(tmp_path).roots == tmp_path / "trust" / "roots"
    assert isinstance(Owner.roots, Place)
