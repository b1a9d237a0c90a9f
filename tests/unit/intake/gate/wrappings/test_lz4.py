import pytest

from airlift.intake.gate.views import DamagedStreamError, Held
from airlift.intake.gate.wrappings.lz4 import unpack
from tests.support.packed import lz4_frame

HEAD = b"\x04\x22\x4d\x18\x60\x40\x82"


def frame(*blocks: bytes) -> bytes:
    return HEAD + b"".join(len(block).to_bytes(4, "little") + block for block in blocks) + bytes(4)


def unpacked(data: bytes) -> bytes:
    return b"".join(unpack(Held(data)))


@pytest.mark.parametrize("length", [4, 14, 15, 16, 269, 270, 271, 525, 5000])
def test_literals(length: int) -> None:
    data = bytes(range(256)) * 20
    assert unpacked(lz4_frame(data[:length])) == data[:length]


def test_copies_reach_back_and_overlap() -> None:
    assert unpacked(frame(b"\x32abc\x03\x00\x10z")) == b"abcabcabcz"
    assert unpacked(frame(b"\x1fa\x01\x00\x05\x10z")) == b"a" * 25 + b"z"


def test_blocks_go_on_from_each_other() -> None:
    linked = HEAD[:4] + b"\x40\x40\xc0" + frame(b"\x30abc", b"\x00\x03\x00\x10z")[7:]
    assert unpacked(linked) == b"abcabcaz"


def test_bare_blocks_digests_and_several_frames() -> None:
    bare = (3 | 1 << 31).to_bytes(4, "little") + b"xyz"
    noted = b"\x04\x22\x4d\x18\x7c\x40" + bytes(8) + b"\0" + bare + b"sum!" + bytes(4) + b"sum!"
    assert unpacked(noted + lz4_frame(b"behind")) == b"xyzbehind"


@pytest.mark.parametrize(
    "data",
    [
        HEAD,
        HEAD[:5],
        b"\x04\x22\x4d\x18\x20\x40\x82" + bytes(4),
        b"\x04\x22\x4d\x18\x60\x00\x82" + bytes(4),
        HEAD + b"\xff\xff\xff\x7f" + bytes(9),
        HEAD + b"\x00\x00\x00\x80",
        frame(b"\xf0\xff"),
        frame(b"\x50ab"),
        frame(b"\x10a\x02\x00\x10z"),
        frame(b"\x10a\x00\x00\x10z"),
        frame(b"\x1fa\x01\x00" + b"\xff" * 300 + b"\x00"),
    ],
)
def test_damaged_frames(data: bytes) -> None:
    with pytest.raises(DamagedStreamError):
        unpacked(data)
