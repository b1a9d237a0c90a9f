import io
import tarfile

import pytest

from airlift.intake.gate.views import Budget, Held
from airlift.intake.gate.wrappings.tars import is_tar, members
from tests.support.packed import tarred
from tests.support.weights import noise

CONTENT = {"a.yaml": b"a: 1\n", "folder/" + "long" * 60: noise(1, 1500), "empty": b"", "last": b"end"}


def listed(data: bytes, budget: Budget | None = None) -> list[bytes | None]:
    found = members(Held(data), budget or Budget())
    return [None if member.view is None else member.view.read(0, 1 << 20) for member in found]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_members(form: int) -> None:
    assert listed(tarred(CONTENT, form)) == list(CONTENT.values())


def test_folders_and_links_hold_nothing() -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            entry = tarfile.TarInfo("x")
            entry.type, entry.linkname = kind, "y"
            archive.addfile(entry)
        entry = tarfile.TarInfo("file")
        entry.size = 3
        archive.addfile(entry, io.BytesIO(b"abc"))
    assert listed(data.getvalue()) == [b"abc"]


def test_a_size_that_an_extended_header_states() -> None:
    """Readers follow it, whatever the header itself says."""
    entry = tarfile.TarInfo("a")
    entry.pax_headers = {"size": "600"}
    head = entry.tobuf(tarfile.PAX_FORMAT)
    data = head + b"x" * 600 + bytes(424) + tarred({"b": b"behind"})
    assert listed(data) == [b"x" * 600, b"behind"]


def block(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def entry(name: str, data: bytes, kind: bytes = b"0") -> bytes:
    item = tarfile.TarInfo(name)
    item.size, item.type = len(data), kind
    return item.tobuf(tarfile.USTAR_FORMAT) + block(data)


def record(key: bytes, value: bytes) -> bytes:
    length = next(n for n in range(999) if n == len(b"%d %s=%s\n" % (n, key, value)))
    return b"%d %s=%s\n" % (length, key, value)


@pytest.mark.parametrize(
    "before",
    [
        entry("", record(b"comment", b"x\n10 size=1024\n"), b"x"),
        entry("", record(b"size", b"1536"), b"g"),
        entry("", record(b"size", b"1024"), b"x") + entry("", b"long name\0", b"L"),
        entry("", record(b"size", b"+5"), b"X"),
        entry("folder/", b"", b"\0"),
    ],
)
def test_readers_are_followed_to_the_next_member(before: bytes) -> None:
    """Threat, content: a header that makes the gate step over a member that a loader reads."""
    data = before + entry("a", b"first") + entry("b", b"second") + bytes(1024)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        expected = [file.read(5) for item in archive for file in [archive.extractfile(item)] if file]
    assert [item[:5] for item in listed(data) if item is not None] == expected


def test_a_folder_of_old_has_no_content() -> None:
    header = bytearray(entry("x/", b"", b"\0"))
    header[124:136] = b"00000001000\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    assert listed(bytes(header) + entry("b", b"text")) == [b"text"]


def test_what_readers_do_not_agree_on_is_told() -> None:
    """Threat, content: a member of which nobody can say how long it is, or that is put together by the reader."""
    twice = entry("", record(b"size", b"3"), b"x") * 2
    sparse = entry("", record(b"GNU.sparse.major", b"1"), b"x")
    for before in (twice, sparse, entry("", record(b"size", b"3"), b"g")):
        assert None in listed(before + entry("a", b"abc"))
    assert listed(entry("a", b"abc") + b"no header".ljust(512)) == [b"abc", None]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names(form: int) -> None:
    name = "folder/" * 30 + "model.py"
    assert [item.name for item in members(Held(tarred({name: b"x"}, form)), Budget())] == [name]


def test_kinds_that_nobody_knows_are_files() -> None:
    assert listed(entry("a", b"abc", b"Z")) == [b"abc"]


def test_sizes_in_base_256() -> None:
    header = bytearray(tarred({"a": b"abc"})[:512])
    header[124:136] = b"\x80" + (3).to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    assert listed(bytes(header) + b"abc".ljust(512, b"\0")) == [b"abc"]


def test_sparse_files_are_not_looked_into() -> None:
    header = bytearray(tarred({"a": b"abc"})[:512])
    header[156:157], header[482] = b"S", 1
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    data = bytes(header) + bytes(512) + b"abc".ljust(512, b"\0") + tarred({"b": b"behind"})
    assert listed(data) == [None, b"behind"]


def test_members_are_bounded() -> None:
    assert len(listed(tarred(CONTENT), Budget(members=1))) == 1


@pytest.mark.parametrize("data", [b"", b"\0" * 512, noise(1, 512), b"a" * 512, tarred({"a": b""})[:511]])
def test_what_is_no_archive(data: bytes) -> None:
    assert not is_tar(data)
    assert listed(data) == []
