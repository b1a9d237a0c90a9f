"""Encode chooses, decode trusts nothing."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from airlift import codec
from airlift.codec import MAX_LENGTH, MAX_SOURCE_LENGTH, MAX_SOURCES, Codec, Coded, Effort
from airlift.codec.block import Context
from airlift.codec.decoding import CODECS, run
from airlift.codec.plain import raw_equal
from airlift.errors import FormatTooNewError, MalformedError
from airlift.tensors.element import Element
from tests.support.tensors import weights

RAW, EQUAL, ZSTD, PLANES = 0, 1, 2, 3


def noise(length: int, seed: int = 1) -> bytes:
    """Return bytes that do not compress: a linear congruential generator's upper bits."""
    parts = []
    for _ in range(0, length, 4):
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        parts.append(seed.to_bytes(8, "little")[4:])
    return b"".join(parts)[:length]


NOISE = noise(20_000)
TEXT = b"".join(b"line %d of a text that says %d\n" % (n, n * n % 7919) for n in range(3000))
WEIGHTS = b"".join(NOISE[2 * n : 2 * n + 1] + bytes([0x3C + NOISE[n] % 3]) for n in range(10_000))


def nudged(weights: bytes, every: int) -> bytes:
    changed = bytearray(weights)
    changed[::every] = bytes(value ^ 1 for value in changed[::every])
    return bytes(changed)


@pytest.mark.parametrize(
    ("target", "sources", "element", "expected"),
    [
        (b"", [], Element.BYTES, RAW),
        (b"", [b""], Element.BF16, RAW),
        (NOISE, [], Element.BYTES, RAW),
        (NOISE, [NOISE[::-1]], Element.F32, RAW),
        (b"x", [b"y"], Element.U8, RAW),
        (NOISE, [NOISE], Element.BF16, EQUAL),
        (b"x", [b"x"], Element.BYTES, EQUAL),
        (TEXT, [], Element.BYTES, ZSTD),
        (TEXT[:30_000] + b"new" + TEXT[30_000:], [TEXT], Element.BYTES, ZSTD),
        (NOISE[7:], [NOISE], Element.BF16, ZSTD),
        (WEIGHTS, [], Element.BF16, PLANES),
        (nudged(WEIGHTS, 40), [WEIGHTS], Element.BF16, PLANES),
        (nudged(WEIGHTS, 2), [WEIGHTS], Element.BYTES, PLANES),
        (bytes(1000), [], Element.F64, ZSTD),
    ],
)
@pytest.mark.parametrize("effort", Effort)
def test_the_cheapest_codec_is_chosen(
    target: bytes, sources: list[bytes], element: Element, expected: int, effort: Effort
) -> None:
    coded = codec.encode(target, sources, element, effort=effort)
    assert codec.names()[coded.codec] == codec.names()[expected]
    assert len(coded.payload) <= len(target)
    assert codec.decode(coded.codec, coded.payload, sources, len(target), element) == target


def test_sizes_are_what_the_codecs_promise() -> None:
    assert codec.encode(NOISE, [NOISE], Element.F16) == Coded(EQUAL, b"")
    assert codec.encode(NOISE, [], Element.F16) == Coded(RAW, NOISE)
    assert len(codec.encode(nudged(WEIGHTS, 400), [WEIGHTS], Element.BF16).payload) < len(WEIGHTS) / 40
    assert len(codec.encode(b"new" + TEXT, [TEXT], Element.BYTES).payload) < 100


@pytest.mark.parametrize("effort", Effort)
@pytest.mark.parametrize("element", [Element.BYTES, Element.F64])
def test_long_blocks_are_sampled(element: Element, effort: Effort) -> None:
    source = WEIGHTS * 40  # 800 kB
    target = nudged(source, 10)
    coded = codec.encode(target, [source], element, effort=effort)
    assert len(coded.payload) < len(target) // 20
    assert codec.decode(coded.codec, coded.payload, [source], len(target), element) == target


def test_a_long_block_of_noise_stays_raw() -> None:
    target = noise(600_000)
    assert codec.encode(target, [noise(600_000, 2)], Element.F32) == Coded(RAW, target)


def test_the_same_inputs_give_the_same_payload_on_any_thread() -> None:
    source = WEIGHTS * 40
    target = nudged(source, 30)
    first = codec.encode(target, [source], Element.BF16, [(100, 400_000)])
    with ThreadPoolExecutor(4) as pool:
        again = list(
            pool.map(lambda _: codec.encode(target, [source], Element.BF16, [(100, 400_000)]), range(8))
        )
        decoded = list(
            pool.map(
                lambda coded: codec.decode(coded.codec, coded.payload, [source], len(target), Element.BF16),
                again,
            )
        )
    assert again == [first] * 8
    assert all(data == target for data in decoded)


def test_any_buffer_will_do() -> None:
    target, source = memoryview(bytearray(b"?" + nudged(WEIGHTS, 9)))[1:], bytearray(WEIGHTS)
    coded = codec.encode(target, [memoryview(source)], Element.BF16)
    assert codec.decode(coded.codec, bytearray(coded.payload), [source], len(target), Element.BF16) == target


@pytest.mark.parametrize("slack", [-1, 0, 100])
@pytest.mark.parametrize(
    ("target", "sources", "element"),
    [
        (NOISE, [], Element.BYTES),
        (NOISE, [NOISE], Element.BF16),
        (TEXT, [], Element.BYTES),
        (WEIGHTS, [], Element.BF16),
        (nudged(WEIGHTS, 40), [WEIGHTS], Element.BF16),
        (nudged(WEIGHTS, 2), [WEIGHTS], Element.U8),
        (nudged(WEIGHTS, 2), [WEIGHTS], Element.Q8_0),
        (weights(Element.BF16, step=0.01), [weights(Element.BF16)], Element.BF16),
        (weights(Element.BF16), [], Element.BF16),
    ],
)
def test_a_block_comes_back_in_memory_that_is_reused(
    target: bytes, sources: list[bytes], element: Element, slack: int
) -> None:
    room, target = bytearray(b"\xa5" * (len(target) + slack)), target[: len(target) // 34 * 34]
    sources = [source[: len(target)] for source in sources]
    coded = codec.encode(target, sources, element)
    for _ in range(2):
        assert codec.decode(coded.codec, coded.payload, sources, len(target), element, out=room) == target
    assert room[len(target) :] == b"\xa5" * (len(room) - len(target))


def test_names_and_ids_are_those_of_the_specification() -> None:
    assert codec.names() == {
        0: "raw", 1: "equal", 2: "zstd", 3: "planes", 4: "ulp", 5: "lowrank", 6: "adapter", 7: "narrow",
        8: "convert", 9: "grid",
    }  # fmt: skip
    assert all(number == item.id for number, item in CODECS.items())


@pytest.mark.parametrize("unknown", [-1, 10, 255])
def test_an_unknown_codec_is_too_new(unknown: int) -> None:
    with pytest.raises(FormatTooNewError):
        codec.decode(unknown, b"", [], 0, Element.BYTES)


@pytest.mark.parametrize("unknown", [20, 255])
def test_an_unknown_element_is_too_new(unknown: int) -> None:
    with pytest.raises(FormatTooNewError):
        codec.decode(RAW, b"", [], 0, unknown)


@pytest.mark.parametrize("number", sorted(CODECS))
@pytest.mark.parametrize(
    ("sources", "length"),
    [
        ([], MAX_LENGTH + 1),
        ([], -1),
        ([b""] * (MAX_SOURCES + 1), 0),
        ([bytes(MAX_SOURCE_LENGTH + 1)], 0),
    ],
)
def test_a_block_over_its_limits_is_refused(number: int, sources: list[bytes], length: int) -> None:
    with pytest.raises(MalformedError):
        codec.decode(number, b"", sources, length, Element.BYTES)


def test_a_block_over_its_limits_is_not_encoded() -> None:
    with pytest.raises(MalformedError):
        codec.encode(bytes(MAX_LENGTH + 1), [], Element.BYTES)


@pytest.mark.parametrize(("payload", "length"), [(b"ab", 3), (b"abc", 2), (b"", 1), (b"a", 0)])
def test_raw_has_the_length_of_its_block(payload: bytes, length: int) -> None:
    with pytest.raises(MalformedError):
        codec.decode(RAW, payload, [], length, Element.BYTES)


@pytest.mark.parametrize(
    ("payload", "sources", "length"),
    [(b"", [], 3), (b"", [b"ab"], 3), (b"", [b"abcd"], 3), (b"a", [b"abc"], 3)],
)
def test_equal_has_no_payload_and_a_source_of_its_length(
    payload: bytes, sources: list[bytes], length: int
) -> None:
    """Threat: a base of the wrong length."""
    with pytest.raises(MalformedError):
        codec.decode(EQUAL, payload, sources, length, Element.BYTES)


@pytest.mark.parametrize("number", sorted(CODECS))
def test_a_payload_longer_than_its_block_is_refused(number: int) -> None:
    with pytest.raises(MalformedError):
        codec.decode(number, bytes(11), [bytes(10)], 10, Element.BYTES)


def test_a_decoder_that_returns_another_length_is_caught() -> None:
    """Threat: deltas that write outside the target."""
    liar = Codec(10, "liar", lambda *_: b"", lambda *_: memoryview(b"too long"))
    with pytest.raises(MalformedError):
        run(liar, memoryview(b""), Context([], Element.BYTES), 3)


def test_a_base_of_other_content_is_not_noticed_here() -> None:
    """The content is the caller's to check, by the file's signed digest; the length always holds."""
    coded = codec.encode(nudged(WEIGHTS, 9), [WEIGHTS], Element.BF16)
    wrong = codec.decode(coded.codec, coded.payload, [bytes(len(WEIGHTS))], len(WEIGHTS), Element.BF16)
    assert len(wrong) == len(WEIGHTS)
    assert wrong != WEIGHTS


@pytest.mark.parametrize(
    "length", [0, 1, 7, 8, raw_equal.STRIPE, raw_equal.STRIPE + 1, 2 * raw_equal.STRIPE + 24]
)
def test_views_are_the_same_or_not(length: int) -> None:
    data = noise(length)
    assert raw_equal.same(memoryview(data), memoryview(bytes(data)))
    assert not raw_equal.same(memoryview(data), memoryview(data + b"x"))
    for place in {0, length // 2, length - 1} if length else ():
        other = bytearray(data)
        other[place] ^= 128
        assert not raw_equal.same(memoryview(data), memoryview(other))
