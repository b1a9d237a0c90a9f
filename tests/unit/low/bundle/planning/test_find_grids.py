"""Dequantised tensors are found on the way out, with what predicts them; ordinary ones are left alone."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from airlift import codec
from airlift.low.bundle.planning.coding_plan import find_segments
from airlift.low.bundle.planning.find_grids import find_grids
from airlift.tensors.element import Element
from airlift.tensors.formats import gguf, safetensors
from airlift.tensors.matching.hint import Grid, ScalesFrom
from airlift.tensors.matching.match import FileSpans
from airlift.tensors.matching.segment import Segment, Source, blocks
from airlift.tensors.span import TensorSpan, coarse, tile
from tests.support import gguf_files, quantisers
from tests.support import weights as files
from tests.support.quantisers import as_element, floats, model
from tests.support.weights import Tensors

BF16, F16, F32, I8 = Element.BF16, Element.F16, Element.F32, Element.I8
SHAPE = (256, 384)
RANGE = ScalesFrom.RANGE
NAME = "model.layers.0.self_attn.o_proj.weight"
MODEL = model(*SHAPE)
VALUES = floats(MODEL)
LIMIT = 200_000


def spans(path: str, data: bytes) -> FileSpans:
    if data[:4] == b"GGUF":
        tensors = gguf.parse_header(data, len(data))
    else:
        tensors = safetensors.parse_header(data[8 : 8 + int.from_bytes(data[:8], "little")], len(data))
    return FileSpans(path, path.partition(".")[0], len(data), coarse(tile(tensors, len(data))))


@dataclass(frozen=True)
class Planned:
    """The hints of tensors, each with its source, and what all blocks of the last file cost."""

    grids: list[tuple[Grid, Source | None]]
    cost: int
    codecs: set[str]

    @property
    def hint(self) -> Grid:
        ((hint, _),) = self.grids
        return hint


def planned(target: bytes, *bases: bytes, name: str = "m.safetensors") -> Planned:
    """Plan a file against others, and check that it comes back from its blocks."""
    data = [*bases, target]
    paths = [f"base-{number}.safetensors" for number in range(len(bases))] + [name]

    def read(number: int, start: int, end: int) -> bytes:
        return data[number][start:end]

    known = [spans(path, content) for path, content in zip(paths, data, strict=True)]
    (segments,) = find_segments(known, len(bases), read)
    assert [segments[0].start, segments[-1].end] == [0, len(target)]
    assert all(one.end == other.start for one, other in pairwise(segments))
    return Planned(
        [(part.hint, part.source) for part in segments if isinstance(part.hint, Grid)],
        *coded(segments, data),
    )


def coded(segments: Sequence[Segment], data: Sequence[bytes]) -> tuple[int, set[str]]:
    """Return what the payloads of the last file take, and the codecs of blocks with a grid."""
    cost, used = 0, set()
    for block in (block for segment in segments for block in blocks(segment, LIMIT)):
        sources = [data[source.file][source.start : source.end] for source in block.sources]
        target = data[-1][block.start : block.end]
        made = codec.encode(target, sources, block.element, block.rows, hint=block.hint)
        taken = sources[: codec.sources(made.codec)]
        assert codec.decode(made.codec, made.payload, taken, len(target), block.element) == target
        cost += len(made.payload)
        if isinstance(block.hint, Grid):
            used.add(codec.names()[made.codec])
    return cost, used


def file(
    data: bytes, dtype: str = "BF16", shape: tuple[int, ...] = SHAPE, more: Tensors | None = None
) -> bytes:
    return files.safetensors({NAME: (dtype, shape, data), **(more or {})})


def fake(values: NDArray[np.float32], group: tuple[int, int] = (1, 0), element: Element = BF16) -> bytes:
    """Return numbers that were quantised and dequantised."""
    return quantisers.dequantised(*quantisers.integers(values, group), group, element)


def tuned(size: float = 0.02, seed: int = 3) -> NDArray[np.float32]:
    return VALUES * (1 + np.random.default_rng(seed).normal(0, size, SHAPE)).astype(np.float32)


# -- without a source ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("element", [BF16, F16, F32])
@pytest.mark.parametrize("group", [(1, 0), (0, 1), (128, 128), (1, 256), (1, 128), (1, 64), (1, 32)])
def test_integers_without_a_source(group: tuple[int, int], element: Element) -> None:
    """By row, column, block, and some numbers of a row."""
    found = planned(file(fake(VALUES, group, element), element.name))
    assert (found.hint.group, found.hint.source, found.hint.columns) == (group, Element.BYTES, 384)
    assert found.codecs == {"grid"}
    assert 8 * found.cost / VALUES.size < (11.5 if group == (1, 32) else 8.6)


@pytest.mark.parametrize("element", [BF16, F16, F32])
@pytest.mark.parametrize(("limit", "most"), [(255, 9.1), (15, 5.6)])
def test_integers_with_a_zero_point(element: Element, limit: int, most: float) -> None:
    """In bfloat16 two steps of 128 and more may make one number: some scales between the bounds are tried."""
    values = np.tile(VALUES, (4, 1)) * np.random.default_rng(7).uniform(0.9, 1.1, (1024, 384)).astype("<f4")
    data = quantisers.dequantised(*quantisers.shifted(values, (1, 128), limit), (1, 128), element)
    found = planned(file(data, element.name, shape=(1024, 384)))
    assert (found.hint.group, found.codecs) == ((1, 128), {"grid"})
    assert 8 * found.cost / values.size < most


def test_layers_are_looked_at_ever_more_rarely_until_one_was_dequantised() -> None:
    """The first ones are often left as they were; of an ordinary model hardly any tensor is looked at."""

    def found(quantised: range) -> list[int]:
        tensors = dict[str, tuple[str, tuple[int, ...], bytes]]()
        for layer in range(12):
            values = floats(model(32, 384, seed=layer))
            data = fake(values) if layer in quantised else as_element(values, BF16)
            tensors[f"model.layers.{layer:02}.o_proj.weight"] = ("BF16", (32, 384), data)
        whole = files.safetensors(tensors)
        names = [span.name for span in spans("m.safetensors", whole).spans if not span.opaque]
        known = [spans("m.safetensors", whole)]
        (segments,) = find_segments(known, 0, lambda _, start, end: whole[start:end])
        starts = {part.start for part in segments if isinstance(part.hint, Grid)}
        return [names.index(span.name) for span in known[0].spans if span.start in starts]

    assert found(range(12)) == list(range(12))
    assert found(range(1, 12)) == list(range(1, 12))
    assert found(range(5, 12)) == list(range(7, 12))
    assert found(range(0)) == []


def test_two_groups_that_seem_to_share_a_scale() -> None:
    """Of four bits they do so once in a few groups, and rows of 384 have one group of 256 at most."""
    tensors: dict[str, tuple[str, tuple[int, ...], bytes]] = {}
    for seed in range(24):
        codes, scales = quantisers.integers(floats(model(32, 384, seed=seed)), (1, 128), 7.0)
        tensors[f"t{seed}.weight"] = (
            "BF16", (32, 384), quantisers.dequantised(codes, scales, (1, 128), BF16)
        )  # fmt: skip
    found = planned(files.safetensors(tensors))
    assert [hint.group for hint, _ in found.grids] == [(1, 128)] * 24


def test_one_scale_for_all() -> None:
    found = planned(file(fake(VALUES, (0, 0))))
    assert found.codecs == {"grid"}
    assert 8 * found.cost / VALUES.size < 6.5


def test_a_kernel_has_a_scale_for_each_channel() -> None:
    """Its last dimension is no row."""
    values = VALUES.reshape(256, 384)
    found = planned(file(fake(values, (1, 0)), shape=(256, 128, 3)))
    assert (found.hint.columns, found.hint.group) == (384, (1, 0))


def test_small_tensors_and_one_dimension() -> None:
    values = np.concatenate([VALUES[:11]] * 2, axis=1)[:, :400]
    assert planned(file(fake(values[:10, :400]), shape=(10, 400))).grids == []
    long = VALUES.reshape(1, -1)
    found = planned(file(fake(long), shape=(VALUES.size,)))
    assert found.codecs <= {"grid"}


@pytest.mark.parametrize("element", [BF16, F16, F32])
def test_ordinary_weights_have_none(element: Element) -> None:
    rng = np.random.default_rng(4)
    values = [floats(model(128, 256, seed=seed)) for seed in range(8)]
    values += [
        rng.standard_t(3, (64, 128)).astype(np.float32),
        rng.uniform(-1, 1, (64, 128)).astype(np.float32),
    ]
    values += [1 + rng.normal(0, 0.05, (64, 128)).astype(np.float32)]
    made = [as_element(some * np.float32(1.003), element) for some in values]
    tensors = {
        f"t{n}.weight": (element.name, some.shape, data)
        for n, (some, data) in enumerate(zip(values, made, strict=True))
    }
    found = planned(files.safetensors(tensors))
    assert len(found.grids) <= (element is BF16)  # norms around one in bfloat16 are steps of 2**-8


def test_zeros_alone() -> None:
    found = planned(file(bytes(2 * VALUES.size)))
    assert found.cost < 500


@pytest.mark.parametrize("number", [0x7F80, 0x7FC0, 0x3DCD])
def test_one_number_that_is_no_step(number: int) -> None:
    """The blocks that do not have it are coded so all the same."""
    data = bytearray(fake(np.tile(VALUES, (3, 1))))
    data[100_002:100_004] = number.to_bytes(2, "little")
    found = planned(file(bytes(data), shape=(768, 384)))
    assert len(found.grids) == 1
    assert found.codecs > {"grid"}


# -- an earlier version, and what was quantised --------------------------------------------------------------------


def test_a_counterpart_that_was_not_quantised() -> None:
    """Of which the scales follow: nothing is left."""
    found = planned(file(fake(VALUES)), file(MODEL.tobytes()))
    assert (found.hint.source, found.hint.scales_from, found.hint.limit) == (BF16, ScalesFrom.LARGEST, 127.0)
    assert found.cost < 500


@pytest.mark.parametrize("work", [F32, BF16])
@pytest.mark.parametrize("limit", [255, 15])
@pytest.mark.parametrize("group", [(1, 0), (1, 128), (1, 32), (128, 128)])
def test_integers_with_a_zero_point_follow_too(group: tuple[int, int], limit: int, work: Element) -> None:
    data = quantisers.dequantised(*quantisers.shifted(VALUES, group, limit, work), group, BF16)
    found = planned(file(data), file(MODEL.tobytes()))
    assert (found.hint.scales_from, found.hint.limit, found.hint.narrow) == (RANGE, limit, work is BF16)
    assert found.cost < 500


@pytest.mark.parametrize("group", [(0, 0), (1, 0), (1, 32)])
def test_what_was_computed_in_a_narrow_type(group: tuple[int, int]) -> None:
    data = quantisers.dequantised(*quantisers.narrowed(VALUES, group, 127, BF16), group, BF16)
    found = planned(file(data), file(MODEL.tobytes()))
    assert found.hint.narrow
    assert found.cost < 600


def test_a_counterpart_that_was_quantised_too() -> None:
    old, new = fake(VALUES), fake(tuned())
    found, alone = planned(file(new), file(old)), planned(file(new))
    assert (found.hint.source, found.hint.scales_from) == (BF16, ScalesFrom.PAYLOAD)
    assert found.cost < 0.65 * alone.cost


def test_a_counterpart_that_did_not_change_is_a_copy() -> None:
    data = file(fake(VALUES))
    found = planned(data, data)
    assert found.grids == []
    assert found.cost < 200


def test_ordinary_weights_that_changed_have_none() -> None:
    assert planned(file(as_element(tuned(), BF16)), file(MODEL.tobytes())).grids == []


def test_what_was_quantised_in_another_type() -> None:
    """A file of other floats, by name."""
    found = planned(file(fake(VALUES, element=F32), "F32"), file(MODEL.tobytes()))
    assert (found.hint.source, found.hint.scales_from) == (BF16, ScalesFrom.LARGEST)
    assert found.cost < 500


@pytest.mark.parametrize("element", [F16, F32])
def test_what_a_cast_makes_almost(element: Element) -> None:
    """Half of the bits of float16 numbers follow from a cast of what was quantised, and all from the scales."""
    found = planned(file(fake(VALUES, element=element), element.name), file(MODEL.tobytes()))
    assert (found.hint.source, found.hint.scales_from, found.hint.limit) == (BF16, ScalesFrom.LARGEST, 127.0)
    assert (found.cost < 500, found.codecs) == (True, {"grid"})


@pytest.mark.parametrize("data", [MODEL.tobytes(), fake(VALUES)])
def test_what_a_cast_makes_exactly(data: bytes) -> None:
    single = floats(np.frombuffer(data, "<u2").reshape(SHAPE))
    found = planned(file(as_element(single, F32), "F32"), file(data))
    assert (found.grids, found.cost < 500) == ([], True)


def test_kernels_of_a_few_numbers_are_no_groups() -> None:
    """Three numbers are steps of some scale more often than not; what they cost was compared with whole rows."""
    ordinary = as_element(VALUES * np.float32(1.003), BF16)
    assert planned(file(ordinary, shape=(256, 128, 3))).grids == []
    assert planned(file(ordinary, shape=(4096, 24))).grids == []


# -- the quantised form --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("group", [(1, 0), (128, 128), (0, 1)])
def test_the_integers_are_in_the_baseline(group: tuple[int, int], renamed: bool) -> None:
    """By name, or by what each two neighbours say."""
    codes, scales = quantisers.integers(VALUES, group)
    base = file(codes.tobytes(), "I8")
    if renamed:
        base = base.replace(NAME.encode(), NAME.replace("o_proj", "x_yzab").encode())
    found = planned(file(quantisers.dequantised(codes, scales, group, BF16)), base)
    ((hint, source),) = found.grids
    assert (hint.source, hint.group, source is not None) == (I8, group, True)
    assert found.cost < 3 * scales.nbytes + 600


@pytest.mark.parametrize(("scale", "group"), [(F32, (1, 0)), (BF16, (1, 32)), (F16, (1, 128)), (F32, (0, 0))])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("element", [BF16, F32])
def test_the_integers_and_their_scales_are_in_the_baseline(
    element: Element, packed: bool, group: tuple[int, int], scale: Element
) -> None:
    """As compressed-tensors names them."""
    codes, scales = quantisers.integers(VALUES, group, 7.0, scale)
    shape = (1,) if group == (0, 0) else scales.shape
    given = {f"{NAME}_scale": (scale.name, shape, as_element(scales, scale))}
    if packed:
        words = quantisers.packed(codes)
        base = files.safetensors(given | {f"{NAME}_packed": ("I32", (256, 48), words)})
    else:
        base = files.safetensors(given | {NAME: ("I8", SHAPE, codes.tobytes())})
    found = planned(file(quantisers.dequantised(codes, scales, group, element), element.name), base)
    assert (found.hint.source, found.hint.scales_from) == (Element.I32 if packed else I8, ScalesFrom.SOURCE)
    assert (found.hint.group, found.cost < 500) == (group, True)


def test_scales_of_other_integers_are_not_taken() -> None:
    codes, scales = quantisers.integers(VALUES, (1, 0))
    more = {f"{NAME}_scale": ("F32", (256, 1), (scales * np.float32(1.1)).tobytes())}
    base = file(codes.tobytes(), "I8", more=more)
    found = planned(file(quantisers.dequantised(codes, scales, (1, 0), BF16)), base)
    assert (found.hint.source, found.hint.scales_from) == (I8, ScalesFrom.PAYLOAD)


@pytest.mark.parametrize(
    ("kind", "limit"), [(gguf_files.Q8_0, Element.Q8_0), (gguf_files.Q4_0, Element.Q4_0)]
)
@pytest.mark.parametrize("element", [F32, F16])
def test_records_of_ggml_are_in_the_baseline(kind: int, limit: Element, element: Element) -> None:
    """As GGUF names them."""
    data = quantisers.q8_0(VALUES) if kind == gguf_files.Q8_0 else quantisers.q4_0(VALUES)
    rows = np.frombuffer(data, np.uint8).reshape(-1, limit.size)
    scales, packed = rows[:, :2].copy().view("<f2").astype(np.float32), rows[:, 2:]
    if limit is Element.Q4_0:
        codes = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.int8) - np.int8(8)
    else:
        codes = packed.view(np.int8)
    target = as_element(codes.astype(np.float32) * scales, element)
    base = gguf_files.gguf([gguf_files.Tensor("blk.0.attn_output.weight", SHAPE[::-1], kind, data)])
    found = planned(file(target, element.name), base)
    assert (found.hint.source, found.hint.scales_from) == (limit, ScalesFrom.SOURCE)
    assert found.cost < 500


@pytest.mark.parametrize("kind", [Element.F8_E4M3, Element.F8_E5M2])
@pytest.mark.parametrize("element", [BF16, F32])
def test_eight_bit_floats_from_what_they_were_made_of_and_from_themselves(
    kind: Element, element: Element
) -> None:
    most = np.float32(quantisers.LARGEST[kind])
    scales = np.abs(VALUES).max(axis=1, keepdims=True) / most
    codes = quantisers.eights(VALUES / scales, kind)
    table = np.array([quantisers.step_value(code, kind, signed=False) for code in range(256)], np.float32)
    target = file(as_element(table[codes] * scales, element), element.name)
    found = planned(target, file(MODEL.tobytes()))
    assert (found.hint.source, found.hint.steps, found.hint.scales_from) == (BF16, kind, ScalesFrom.LARGEST)
    assert found.cost < 500
    found = planned(target, file(codes.tobytes(), kind.name))
    assert (found.hint.source, found.hint.steps) == (kind, kind)
    assert found.cost < 3 * scales.nbytes


def test_a_form_that_is_not_whole_records_a_row_is_no_source() -> None:
    values = floats(model(64, 400))
    data = quantisers.q8_0(np.pad(values, ((0, 0), (0, 16))))
    base = gguf_files.gguf([gguf_files.Tensor("blk.0.attn_output.weight", (416, 64), gguf_files.Q8_0, data)])
    found = planned(file(fake(values), shape=(64, 400)), base)
    assert found.hint.source is Element.BYTES


# -- what it takes -------------------------------------------------------------------------------------------------


def cut(data: bytes, _: int, start: int, end: int) -> bytes:
    return data[start:end]


def test_a_depot_that_lost_bytes_has_nothing() -> None:
    span = TensorSpan("t", BF16, SHAPE, 0, 2 * VALUES.size)
    known = [FileSpans("t", "t", span.end, (span,))]
    for lost in (b"", b"odd", fake(VALUES)[:777]):
        read = partial(cut, lost)
        (found,) = find_grids(known, 0, [[Segment(0, span.end, BF16, 384, None)]], read)
        assert [(part.start, part.end) for part in found] == [(0, span.end)]


def test_ordinary_tensors_take_next_to_no_time() -> None:
    """Columns were read number by number before anything was looked at: a second for 300 tensors."""
    data, step = MODEL.tobytes(), 2 * VALUES.size
    some = tuple(TensorSpan(f"t{n}", BF16, SHAPE, n * step, n * step + step) for n in range(300))
    reads: list[int] = []

    def read(_: int, start: int, end: int) -> bytes:
        reads.append(end - start)
        return data[start % step : start % step + end - start]

    parts = [Segment(span.start, span.end, BF16, 384, None) for span in some]
    began = time.process_time()
    (found,) = find_grids([FileSpans("t", "t", 300 * step, some)], 0, [parts], read)
    assert found == parts
    assert time.process_time() - began < 1
    assert len(reads) < 300 * 50
    assert sum(reads) < 300 * 4096


def test_what_another_part_explains_is_left_alone() -> None:
    """A tensor that is cut by its segments has no grid, nor one that has a hint."""
    data = fake(VALUES)
    span = TensorSpan("t", BF16, SHAPE, 0, len(data))
    known = [FileSpans("t", "t", len(data), (span,))]
    half = len(data) // 2
    parts = [Segment(0, half, BF16, 384, None), Segment(half, len(data), BF16, 384, None)]
    hinted = [Segment(0, len(data), BF16, 384, None, hint=Grid(columns=384, group=(1, 0)))]
    for segments in (parts, hinted):
        assert find_grids(known, 0, [segments], lambda _, start, end: data[start:end]) == [segments]


def test_the_same_is_found_again() -> None:
    target, base = (
        file(fake(tuned())),
        file(MODEL.tobytes(), more={"other": ("I8", SHAPE, bytes(VALUES.size))}),
    )
    first = planned(target, base)
    assert all(planned(target, base) == first for _ in range(3))
