import io
import tarfile

import pytest

from airlift.low.release.gate.views import Budget, Held
from airlift.low.release.gate.wrappings.tars import is_tar, members
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
