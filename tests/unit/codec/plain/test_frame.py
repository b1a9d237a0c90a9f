"""One zstd frame is read with suspicion."""

import tracemalloc

import pytest
import zstandard

from airlift.codec.plain import frame
from airlift.errors import MalformedError
from tests.support import zstd_frames as made

DATA = bytes(range(256)) * 5
FAST = frame.level(1, len(DATA), 0)


def read(data: bytes, length: int = len(DATA), prefix: bytes | None = None) -> bytes:
    return frame.read(memoryview(data), length, None if prefix is None else memoryview(prefix))


def write(data: bytes, prefix: bytes | None = None, **parameters: int) -> bytes:
    return frame.write(memoryview(data), FAST | parameters, None if prefix is None else memoryview(prefix))


def test_what_is_written_is_read() -> None:
    assert read(write(DATA)) == DATA
    assert read(write(b"x"), 1) == b"x"


def test_a_frame_declares_its_length_and_nothing_else() -> None:
    header = zstandard.get_frame_parameters(write(DATA))
    assert (header.content_size, header.dict_id, header.has_checksum) == (len(DATA), 0, False)
    assert header.window_size == len(DATA)  # single segment: no window of its own


def test_a_frame_made_by_hand_is_read() -> None:
    """The frames below are refused for their one fault and not because they are made by hand."""
    assert read(made.frame(6, made.block(made.RAW, 6, b"abcdef")), 6) == b"abcdef"
    assert read(made.frame(6, made.block(made.RLE, 6, b"a"), flags=0, window=made.window(24)), 6) == b"aaaaaa"


@pytest.mark.parametrize("position", [0, 5, 700_001])
def test_all_of_a_prefix_is_in_reach(position: int) -> None:
    """Both the first and the last byte of a long prefix are seen from the first and the last byte of the block."""
    noise = b"".join(int.to_bytes(n * n * 2654435761 % 2**64, 8, "little") for n in range(200_000))
    target = noise[position : position + 800_000]
    parameters = frame.level(1, len(target), len(noise), table_log=22)
    coded = frame.write(memoryview(target), parameters, memoryview(noise))
    assert len(coded) < 1000
    assert read(coded, len(target), noise) == target


def test_a_prefix_that_looks_like_a_dictionary_is_content() -> None:
    prefix = b"\x37\xa4\x30\xec" + bytes(100) + DATA
    assert read(write(DATA, prefix), prefix=prefix) == DATA


GOOD = write(DATA)
NOISE = bytes(n * n % 251 for n in range(40))
ZEROS = made.block(made.RLE, 100, b"\0")
BAD = {
    "nothing": b"",
    "only the magic number": made.MAGIC,
    "another magic number": b"\x27" + GOOD[1:],
    "bytes after the end": GOOD + b"!",
    "two frames": GOOD + GOOD,
    "a frame and a skippable frame": GOOD + made.skippable(b"note"),
    "a skippable frame and a frame": made.skippable(b"note") + GOOD,
    "only a skippable frame": made.skippable(DATA),
    "no declared length": made.unsized(made.block(made.RLE, len(DATA), b"\0")),
    "a shorter declared length": made.frame(len(DATA) - 1, made.block(made.RLE, len(DATA) - 1, b"\0")),
    "a longer declared length": made.frame(len(DATA) + 1, made.block(made.RLE, len(DATA) + 1, b"\0")),
    "less than it declares": made.frame(len(DATA), ZEROS),
    "more than it declares": made.frame(
        len(DATA),
        *[made.block(made.RLE, 1 << 17, b"\0", last=False)] * 1000,
        ZEROS,
        flags=0,
        window=made.window(20),
    ),
    "a dictionary id": made.frame(len(DATA), made.block(made.RLE, len(DATA), b"\0"), dictionary=b"\x01"),
    "a digest": zstandard.ZstdCompressor(write_checksum=True).compress(DATA),
    "a reserved bit": made.frame(
        len(DATA), made.block(made.RLE, len(DATA), b"\0"), flags=made.SINGLE | made.RESERVED
    ),
    "a reserved block": made.frame(len(DATA), made.block(3, len(DATA), b"\0")),
    "a window over the limit": made.frame(
        len(DATA), made.block(made.RLE, len(DATA), b"\0"), flags=0, window=made.window(25)
    ),
    "the largest window": made.frame(
        len(DATA), made.block(made.RLE, len(DATA), b"\0"), flags=0, window=b"\xff"
    ),
    "a reach before the start": write(DATA, DATA),
}


@pytest.mark.parametrize("why", BAD)
def test_any_other_frame_is_refused(why: str) -> None:
    """Threat: zstd bombs, huge windows, concatenated and skippable frames, a chunk that claims more output."""
    with pytest.raises(MalformedError):
        read(BAD[why])


@pytest.mark.parametrize("cut", range(len(GOOD)))
def test_a_truncated_frame_is_refused(cut: int) -> None:
    with pytest.raises(MalformedError):
        read(GOOD[:cut])


def test_an_empty_frame_is_refused() -> None:
    with pytest.raises(MalformedError):
        read(zstandard.ZstdCompressor().compress(b""), 0)


@pytest.mark.parametrize("declared", [1 << 31, 1 << 40, 2**64 - 3])
def test_a_bomb_is_refused_before_anything_is_allocated(declared: int) -> None:
    """Threat: zstd bombs. `zstandard.decompress(max_output_size=...)` would allocate what the frame declares."""
    bomb = made.frame(declared, *[made.block(made.RLE, 1 << 17, b"\0", last=False)] * 100)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedError, match="declares another length"):
            read(bomb)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_library_that_returns_another_length_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    class Short:
        def decompress(self, _frame: memoryview, **_limits: object) -> bytes:
            return DATA[1:]

    monkeypatch.setattr(zstandard, "ZstdDecompressor", lambda **_: Short())
    with pytest.raises(MalformedError, match="wrong length"):
        read(GOOD)


def test_tables_grow_with_the_prefix_up_to_the_limit() -> None:
    small = frame.level(1, 1000, 1000, table_log=22)
    large = frame.level(1, 8 << 20, 16 << 20, table_log=22)
    assert small["hash_log"] < large["hash_log"] == large["chain_log"] == 22
