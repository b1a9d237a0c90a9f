"""Zip archives: stored members are read, whatever else there is stays bytes."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.formats import archive as parser
from airlift.tensors.formats.tiling import spans
from airlift.tensors.region import of_bytes
from airlift.tensors.span import TensorSpan
from tests.support.container_files import archive, golden, npy
from tests.support.tensor_files import safetensors

A = np.arange(12, dtype="f4").reshape(3, 4)
MODEL = safetensors({"w": ("F32", [3, 4], [0, 48])}, A.tobytes())
MEMBERS = {
    "a.npy": npy(A),
    "sub/model.safetensors": MODEL,
    "note.txt": b"text",
    "m.onnx": golden("model.onnx"),
}
VALID = archive(MEMBERS)


def read(data: bytes) -> tuple[TensorSpan, ...]:
    return parser.read(of_bytes(data)).tensors


def test_members_are_read_as_files_of_their_own() -> None:
    found = {span.name: span for span in read(VALID)}
    assert {"a", "w", "w1", "yes.weight"} <= set(found)
    for name in ("a", "w"):
        span = found[name]
        assert (span.element, span.shape) == (Element.F32, (3, 4))
        assert VALID[span.start : span.end] == A.tobytes()


def test_a_member_is_read_as_the_same_file_by_itself(tmp_path: Path) -> None:
    """Named once: what is opaque in a member is opaque in the archive, and tied tensors are one."""
    for name in ("model.onnx", "model.tflite"):
        data = archive({"x": golden(name)})
        (tmp_path / "a.zip").write_bytes(data)
        (tmp_path / name).write_bytes(golden(name))
        start = data.find(golden(name))
        alone = [(s.name, s.start + start, s.end + start) for s in spans(tmp_path / name) if s.name]
        assert [(s.name, s.start, s.end) for s in spans(tmp_path / "a.zip") if s.name] == alone


def test_numpy_writes_its_archives_so(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", first=A, second=A.astype("f2"))
    assert [s.name for s in spans(tmp_path / "a.npz") if s.name] == ["first", "second"]
    np.savez_compressed(tmp_path / "b.npz", first=A)
    assert all(s.opaque for s in spans(tmp_path / "b.npz"))


def test_a_damaged_member_is_bytes_and_the_others_are_not() -> None:
    data = archive({"bad.npy": b"\x93NUMPY\x09", "bad.safetensors": MODEL[:-1], "a.npy": npy(A), "e": b""})
    assert [span.name for span in read(data)] == ["a"]


def test_an_archive_in_an_archive_is_bytes() -> None:
    assert read(archive({"inner.npz": VALID})) == ()


FULL = 0xFFFFFFFF


def large(data: bytes) -> bytes:
    """Return an archive of one member with every number of 32 bits in its list replaced by one of 64."""
    place = data.rfind(b"PK\1\2")
    entry = bytearray(data[place:-22])
    size = struct.unpack_from("<I", entry, 24)[0]
    struct.pack_into("<II", entry, 20, FULL, FULL)
    struct.pack_into("<H", entry, 30, 8 + 28)
    struct.pack_into("<I", entry, 42, FULL)
    entry += struct.pack("<HHI", 0x5455, 4, 0) + struct.pack("<HHQQQ", 1, 24, size, size, 0)
    end = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(entry), place)
    where = struct.pack("<4sIQI", b"PK\6\7", 0, place + len(entry), 1)
    last = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, FULL, FULL, 0)
    return data[:place] + bytes(entry) + end + where + last


def test_large_archives_are_read() -> None:
    data = large(archive({"a.npy": npy(A)}))
    assert [info.file_size for info in zipfile.ZipFile(io.BytesIO(data)).infolist()] == [len(npy(A))]
    assert [span.name for span in read(data)] == ["a"]
    with pytest.raises(MalformedError):
        read(data.replace(b"PK\6\6", b"PK\6\5"))
    with pytest.raises(MalformedError):
        read(data.replace(b"PK\6\7", b"PK\6\5"))


END = VALID.rfind(b"PK\5\6")
LIST = VALID.find(b"PK\1\2")


def changed(place: int, value: bytes, data: bytes = VALID) -> bytes:
    return data[:place] + value + data[place + len(value) :]


ONE = archive({"a.npy": npy(A)})
BAD = {
    "nothing": b"",
    "no list": VALID[:LIST],
    "cut": VALID[:-10],
    "more members than there are": changed(END + 10, b"\x07\0"),
    "a list outside": changed(END + 16, b"\xff\xff\xff\x7f"),
    "a list that is none": changed(LIST, b"PK\1\3"),
    "a member outside": changed(LIST + 42, b"\xf0\xff\xff\x7f"),
    "a member that is none": changed(0, b"PK\3\5"),
    "another name in the member": changed(30, b"b"),
    "a size outside": changed(LIST + 20, struct.pack("<II", 1 << 30, 1 << 30)),
    "two members of one": ONE[:-14] + b"\2\0\2\0" + ONE[-10:],
    "a name that is not UTF-8": archive({"aaaa": npy(A)}).replace(b"aaaa", b"\xff\xff\xff\xff"),
}


@pytest.mark.parametrize("why", BAD)
def test_malformed_archives_are_refused(why: str) -> None:
    with pytest.raises(MalformedError):
        read(BAD[why])


def test_members_that_overlap_are_refused() -> None:
    data = archive({"a.npy": npy(A), "b.npy": npy(A)})
    second = data.rfind(b"PK\1\2")
    overlapping = changed(second + 42, bytes(4), data).replace(b"b.npy", b"a.npy")
    with pytest.raises(MalformedError, match="overlap"):
        read(overlapping)


def test_too_many_members_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "MAX_MEMBERS", 3)
    with pytest.raises(MalformedError, match="too many"):
        read(VALID)


@pytest.mark.parametrize("flags", [b"\1\0", b"\1\x08"])
def test_encrypted_members_are_bytes(flags: bytes) -> None:
    data = archive({"a.npy": npy(A)})
    assert read(changed(data.find(b"PK\1\2") + 8, flags, data)) == ()
