"""Units in the last place: the order of numbers, and what a payload may hold (SPEC U1 to U7)."""

import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from airlift.codec.plain import record_fields
from airlift.codec.ulp import kernel, payload, rans, reference, symbol, table, ulp
from airlift.codec.ulp.group import MAX_RUNS, Groups, check_runs, runs_of
from airlift.codec.ulp.unit import (
    NIBBLE,
    Unit,
    difference,
    exponent,
    join,
    order,
    restore,
    split,
    unit_of,
    zigzag,
)
from airlift.errors import MalformedError, UsageError
from airlift.tensors.element import Element
from tests.support.tensors import COLUMNS, ROWS, weights

BF16, F16 = unit_of(Element.BF16), unit_of(Element.F16)
ALL = np.arange(1 << 16, dtype="<u2")
KERNELS = kernel.names()
SHAPE = [(COLUMNS, ROWS * COLUMNS)]
NEW, OLD = weights(Element.BF16, step=0.01), weights(Element.BF16)


def written(new: bytes = NEW, base: bytes | None = OLD, element: Element = Element.BF16) -> bytes:
    found = ulp.plan(memoryview(new), None if base is None else memoryview(base), element, SHAPE)
    assert found is not None
    return ulp.write(found)


def read(
    data: bytes, base: bytes | None = OLD, element: Element = Element.BF16, length: int = len(NEW)
) -> bytes:
    return bytes(ulp.read(memoryview(data), None if base is None else memoryview(base), element, length))


# -- order ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [BF16, F16, unit_of(Element.I16)])
def test_every_value_goes_there_and_back(unit: Unit) -> None:
    assert np.array_equal(order(order(ALL, unit), unit), ALL)
    for base in (0, 1, 0x3F80, 0x7F80, 0x7FFF, 0x8000, 0x8001, 0xFF80, 0xFFFF):
        bases = np.full_like(ALL, base)
        codes = zigzag(difference(ALL, bases, unit))
        assert len(np.unique(codes)) == len(ALL)
        assert np.array_equal(restore(codes, bases, unit), ALL)
        symbols, raw = symbol.of_codes(codes, unit)
        assert symbols.max() <= symbol.last(unit, codes=True)
        assert np.array_equal(symbol.to_codes(symbols, raw, unit), codes)


def test_every_nibble_and_every_byte_goes_there_and_back() -> None:
    for unit, count in ((NIBBLE, 16), (unit_of(Element.F8_E4M3), 256), (unit_of(Element.U8), 256)):
        new, base = (part.reshape(-1).astype(np.uint8) for part in np.indices((count, count)))
        codes = zigzag(difference(new, base, unit))
        assert codes.max() == count - 1
        assert np.array_equal(restore(codes, base, unit), new)


@pytest.mark.parametrize(("unit", "kind"), [(F16, "<f2"), (BF16, "<f4")])
def test_the_map_keeps_numeric_order(unit: Unit, kind: str) -> None:
    wide = ALL.astype("<u4") << 16 if kind == "<f4" else ALL
    values = wide.view(kind)
    finite = ~np.isnan(values)
    mapped = order(ALL, unit).view("<i2")[finite]
    by_map = values[finite][np.argsort(mapped, kind="stable")].astype(np.float64)
    assert (np.diff(by_map[np.isfinite(by_map)]) >= 0).all()
    assert order(np.array([0x8000, 0], "<u2"), unit).view("<i2").tolist() == [-1, 0]  # -0 just below +0


def test_the_exponent_of_zero_and_denormals_is_that_of_the_smallest_normal_number() -> None:
    assert exponent(np.array([0, 1, 0x8000, 0x80, 0xFF80], "<u2"), BF16).tolist() == [1, 1, 1, 1, 255]
    assert exponent(np.array([5], np.uint8), unit_of(Element.U8)).tolist() == [0]


def test_nibbles_stand_low_half_first() -> None:
    assert split(memoryview(b"\x21\x43"), NIBBLE).tolist() == [1, 2, 3, 4]
    assert bytes(join(np.array([1, 2, 3, 4], np.uint8), NIBBLE)) == b"\x21\x43"


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_raw_bits_of_all_lengths(bits: int) -> None:
    unit = Unit(bits)
    values = [
        v for n in range(4, bits) for v in (1 << n, (1 << n) + 5, (1 << n) + (1 << (n - 1)), (2 << n) - 1)
    ]
    codes = np.array([0, 15, *values, 3, *reversed(values)], unit.dtype)
    symbols, raw = symbol.of_codes(codes, unit)
    assert np.array_equal(symbol.to_codes(symbols, raw, unit), codes)
    for wrong in (raw[:-1], raw + b"\0"):
        with pytest.raises(MalformedError):
            symbol.to_codes(symbols, wrong, unit)


# -- tables --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "counts",
    [
        [0] * 256,
        [5] + [0] * 255,
        [1] * 256,
        [10**6] + [1] * 255,
        list(range(256)),
        [0] * 255 + [7],
        [1, 10**7] * 128,
    ],
)
def test_frequencies_sum_to_2048_and_leave_nothing_out(counts: list[int]) -> None:
    frequencies = table.normalise(np.array(counts))
    assert int(frequencies.sum()) == 2048
    assert all(frequency > 0 for frequency, count in zip(frequencies, counts, strict=True) if count)


def test_tables_go_there_and_back() -> None:
    generator = np.random.default_rng(1)
    counts = (generator.pareto(0.5, (64, 256)) * (generator.random((64, 256)) < 0.2)).astype(np.int64)
    counts[10:20] = 0
    tables = table.fit(counts)
    assert len(tables.frequencies) <= table.WRITTEN_TABLES
    data = table.format_tables(tables)
    again, end = table.parse_tables(memoryview(data), 64, len(tables.frequencies), 255)
    assert end == len(data)
    assert np.array_equal(again.map, tables.map)
    assert np.array_equal(again.frequencies, tables.frequencies)
    for cut in range(0, len(data), 29):
        with pytest.raises(MalformedError):
            table.parse_tables(memoryview(data[:cut]), 64, len(tables.frequencies), 255)


@pytest.mark.parametrize("using", [kernel.get(name) for name in KERNELS], ids=KERNELS)
@pytest.mark.parametrize("contexts", [1, 16, 64, 256])
def test_every_kernel_makes_the_same_tables(contexts: int, using: kernel.Kernel) -> None:
    generator = np.random.default_rng(contexts)
    for most in (0.01, 1.0, 100.0, 1e4):
        fall = np.exp(-np.arange(256) / 20 * np.linspace(0.3, 3, contexts)[:, None])
        counts = generator.poisson(most * generator.random((contexts, 1)) * fall)
        counts[generator.random(contexts) < 0.3] = 0
        made, expected = using.fit(counts), table.fit(counts)
        assert np.array_equal(made.map, expected.map)
        assert np.array_equal(made.frequencies, expected.frequencies)


def test_contexts_without_a_unit_need_no_table_of_their_own() -> None:
    tables = table.fit(np.zeros((64, 256), np.int64))
    assert tables.map.tolist() == [0] * 64
    assert tables.frequencies.tolist() == [[2048] + [0] * 255]


@pytest.mark.parametrize(
    ("data", "last"),
    [
        (b"\x01\x00\x80\x10", 255),  # the context's table is not there
        (b"\x00\x01\x80\x10\x00\x00", 255),  # the last symbol does not occur
        (b"\x00\x00\x80\x0f", 255),  # 1920
        (b"\x00\x00\x81\x10", 255),  # 2049
        (b"\x00\x00\x80\x11", 255),
        (b"\x00\x01\x80\x00\x80\x10", 255),  # 0 in two bytes
        (b"\x00\x02\x00\x00\x00\x00\x80\x10", 255),  # two runs that are one
        (b"\x00\x02\x00\x02\x80\x10", 255),  # a run beyond the last symbol
        (b"\x00\x02\x00", 255),  # a run without a length
        (b"\x00\x10\x00\x0f\x80\x10", 15),
    ],
)
def test_bad_tables_are_refused(data: bytes, last: int) -> None:
    with pytest.raises(MalformedError):
        table.parse_tables(memoryview(data), 1, 1, last)


def test_the_entropy_coder_takes_the_entropy() -> None:
    generator = np.random.default_rng(2)
    symbols = np.minimum(generator.geometric(0.4, 50_000) - 1, 255).astype(np.uint8)
    frequencies = table.normalise(np.bincount(symbols, minlength=256))[None]
    where = np.zeros(len(symbols), np.uint8)
    states, words = rans.encode(symbols.astype(np.uint16), frequencies, 64)
    bits = -np.log2(frequencies[0][symbols] / 2048).sum()
    assert abs(8 * len(words) - bits) < 64 * 32
    looked = rans.lookup(frequencies)
    assert np.array_equal(rans.decode(memoryview(states), memoryview(words), where, looked), symbols)


# -- groups --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "count", "runs"),
    [
        ([], 1000, [(256, 3), (232, 1)]),
        ([(384, 768), (384, 384), (1, 100)], 1252, [(384, 3), (100, 1)]),
        ([(100, 1000)], 1000, [(300, 3), (100, 1)]),
        ([(100_000, 100_000)], 100_000, [(256, 390), (160, 1)]),
        ([(384, 10**9)], 400, [(384, 1), (16, 1)]),
        ([(5, 0)], 3, [(3, 1)]),
        ([(n, n) for n in (300, 400)] * (MAX_RUNS + 1), 10**6, [(256, 3906), (64, 1)]),
    ],
)
def test_rows_become_groups_whatever_the_hint_says(
    rows: list[tuple[int, int]], count: int, runs: list[tuple[int, int]]
) -> None:
    made = runs_of(rows, count)
    if len(rows) < MAX_RUNS:
        assert made == runs
    check_runs(np.array(made, np.uint32), count)


@pytest.mark.parametrize(
    "runs", [[], [(10, 0)], [(0, 10)], [(9, 1)], [(11, 1)], [(2**31, 2), (10, 1)], [(1, 2**20 + 1)]]
)
def test_groups_that_do_not_cover_the_block_are_refused(runs: list[tuple[int, int]]) -> None:
    with pytest.raises(MalformedError):
        check_runs(np.array(runs, np.uint32).reshape(-1, 2), 2**20 + 1 if runs == [(1, 2**20 + 1)] else 10)


def test_still_groups_are_left_out() -> None:
    groups = Groups(np.array([3, 2, 4, 1]), np.array([5, 0, 0, 7], np.uint8))
    assert list(groups.ranges()) == [(0, 3), (9, 10)]
    assert groups.take(np.arange(10)).tolist() == [0, 1, 2, 9]
    assert replace(groups, scales=np.zeros(4, np.uint8)).take(np.arange(10)).tolist() == []


def test_rows_that_did_not_move_cost_nothing() -> None:
    new = NEW[: len(NEW) // 8] + OLD[len(OLD) // 8 :]
    assert len(written(new)) < len(written()) / 4
    assert read(written(new)) == new


# -- payloads ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("element", Element)
@pytest.mark.parametrize("based", [True, False])
@pytest.mark.parametrize("name", KERNELS)
def test_every_element_comes_back_from_every_kernel(element: Element, based: bool, name: str) -> None:
    using = kernel.get(name)
    new, base = memoryview(weights(element, step=0.02)), memoryview(weights(element))
    found = ulp.plan(new, base if based else None, element, SHAPE, using=using)
    assert found is not None
    data = ulp.write(found, using=using)
    assert data == written(bytes(new), bytes(base) if based else None, element)
    assert ulp.read(memoryview(data), base if based else None, element, len(new), using=using) == new


def test_fields_of_records_are_coded_apart() -> None:
    scales, numbers = bytes(range(64)), bytes(n * n % 251 for n in range(64 * 32))
    target = b"".join(scales[n : n + 1] + b"\x28" + numbers[32 * n : 32 * n + 32] for n in range(64))
    apart = record_fields.to_planes(memoryview(target), Element.Q8_0)
    assert apart == scales + b"\x28" * 64 + numbers
    assert record_fields.from_planes(apart, Element.Q8_0) == target
    data = memoryview(written(target, bytes(len(target)), Element.Q8_0))
    found = payload.parse(data, Element.Q8_0, len(target))
    assert found.model.unit in {unit_of(Element.U8), NIBBLE}
    with pytest.raises(MalformedError):
        payload.parse(data, Element.Q8_0, len(target) - 1)
    assert ulp.plan(memoryview(target)[1:], None, Element.Q8_0) is None


def test_sizes_are_what_the_codec_promises() -> None:
    assert len(written()) < 0.35 * len(NEW)
    assert len(written(base=None)) < 0.78 * len(NEW)
    new, old = weights(Element.I8, step=0.01, rows=500), weights(Element.I8, rows=500)
    assert len(written(new, old, Element.I8)) < 0.2 * len(new)


def test_numbers_that_are_no_numbers_come_back() -> None:
    special = struct.pack("<8H", 0x7F80, 0xFF80, 0x7FC0, 0xFFFF, 0x8000, 0, 1, 0x8001)
    new, base = special * 40, special[2:] * 40 + special[:2] * 40
    assert read(written(new, base), base, length=len(new)) == new


def header(**changed: Any) -> bytes:
    """Return the payload of NEW with fields of its header changed."""
    names = (
        "flags",
        "context",
        "lanes",
        "tables",
        "shift",
        "zero",
        "offset",
        "runs",
        "scales",
        "words",
        "bits",
    )
    data = written()
    fields = dict(zip(names, payload.HEADER.unpack_from(data), strict=True)) | changed
    return payload.HEADER.pack(*fields.values()) + data[payload.HEADER.size :]


@pytest.mark.parametrize(
    "changed",
    [
        {"flags": 0}, {"flags": 2}, {"flags": 3}, {"flags": 4}, {"flags": 5}, {"context": 0},
        {"context": 2}, {"context": 3},
        {"lanes": 0}, {"lanes": 12}, {"tables": 0}, {"tables": 1}, {"tables": 33}, {"shift": 4}, {"zero": 1},
        {"runs": 0}, {"runs": 1}, {"runs": 3}, {"runs": MAX_RUNS + 1}, {"scales": 0}, {"scales": 1},
        {"scales": 2**20 + 1},
        {"words": 0}, {"words": 2**23 + 1}, {"bits": 0}, {"bits": 2**24 + 1}, {"bits": 2**32 - 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_header_that_is_out_of_bounds_is_refused(changed: dict[str, int]) -> None:
    with pytest.raises(MalformedError):
        read(header(**changed))


@pytest.mark.parametrize(
    ("runs", "scales"), [(0, 0), (0, 1), (1, 0), (0, 2**32 - 1), (MAX_RUNS + 1, 0), (MAX_RUNS + 1, 2**20 + 1)]
)
def test_runs_and_scales_without_a_use_are_refused(runs: int, scales: int) -> None:
    """Broke: a header that told of scales where there are no runs was taken, whatever their length (SPEC U2)."""
    data = payload.HEADER.pack(0, 0, 0, 1, 0, 0, 0, runs, scales, 0, 0) + b"\0" + b"\0\x80\x10" + b"\0\0\1\0"
    if runs == scales == 0:
        assert read(data, None, Element.U8, 64) == bytes(64)
        return
    with pytest.raises(MalformedError):
        read(data, None, Element.U8, 64)


@pytest.mark.parametrize("name", KERNELS)
def test_what_is_cut_anywhere_is_refused(name: str) -> None:
    """Threat: truncated chunks."""
    data, using = written(), kernel.get(name)
    for cut in [*range(0, len(data), 37), len(data) - 1]:
        with pytest.raises(MalformedError):
            ulp.read(memoryview(data)[:cut], memoryview(OLD), Element.BF16, len(NEW), using=using)


def test_the_source_and_the_length_must_fit() -> None:
    for base, length in ((None, len(NEW)), (OLD, len(NEW) - 2), (OLD, len(NEW) - 1), (OLD, 0)):
        with pytest.raises(MalformedError):
            read(written(), base, length=length)


def test_no_block_of_no_or_half_an_element_is_coded() -> None:
    assert ulp.plan(memoryview(b""), None, Element.BF16) is None
    assert ulp.plan(memoryview(b"abc"), None, Element.BF16) is None


# -- kernels -------------------------------------------------------------------------------------------------------


def test_the_kernel_in_use_is_one_that_runs_here() -> None:
    assert kernel.default().name in KERNELS
    assert KERNELS[-1] == "numpy"
    with pytest.raises(UsageError):
        kernel.get("abacus")


def test_of_a_large_block_a_part_is_counted_and_nothing_is_left_out() -> None:
    generator = np.random.default_rng(3)
    base = generator.normal(0, 0.02, reference.LARGE).astype("<f4").view("<u4") >> 16
    base, new = base.astype("<u2"), (base + generator.binomial(6, 0.2, len(base))).astype("<u2")
    rare = generator.choice(len(new), 50)
    new[rare] += generator.integers(1, 1 << 12, 50).astype("<u2")
    target, source = (units.data.cast("B") for units in (new, base))
    made = set()
    for using in map(kernel.get, KERNELS):
        plan = ulp.plan(target, source, Element.BF16, [(4096, len(new))], using=using)
        assert plan is not None
        made.add((ulp.write(plan, using=using), plan.bits))
    ((data, bits),) = made
    assert ulp.read(memoryview(data), source, Element.BF16, new.nbytes) == target
    assert abs(8 * len(data) - bits) < 0.01 * bits


@pytest.mark.parametrize("name", KERNELS[:-1])
def test_the_compiled_kernel_checks_what_it_is_given(name: str) -> None:
    """Threat: a decoder that trusts what it decodes."""
    parsed = payload.parse(memoryview(written()), Element.BF16, len(NEW))
    base, using = split(memoryview(OLD), BF16), kernel.get(name)
    units = np.empty_like(base)
    using.read(parsed, base, units)
    assert units.tobytes() == NEW
    tables, groups, model, states = parsed.tables, parsed.groups, parsed.model, parsed.states
    wrong: list[dict[str, Any]] = [
        {"states": states[:-1]},
        {"states": states[:-4]},
        {"words": parsed.words[:-1]},
        {"states": b"\0" * len(states)},
        {"groups": replace(groups, scales=groups.scales[:-1])},
        {"model": replace(model, unit=Unit(12, 3))},
        {"model": replace(model, unit=Unit(16, 3))},
        {"model": replace(model, context=7)},
        {"model": replace(model, context=2)},
        {"model": replace(model, shift=9)},
        {"tables": replace(tables, map=tables.map[:-1])},
        {"tables": replace(tables, map=tables.map + 30)},
        {"tables": replace(tables, frequencies=tables.frequencies[:, ::-1].copy())},
        {"tables": replace(tables, frequencies=tables.frequencies // 2)},
        {"tables": replace(tables, frequencies=tables.frequencies[:0])},
    ]
    given = [(replace(parsed, **changed), base, units) for changed in wrong]
    for counts in (np.zeros((64, 255)), np.zeros((257, 256)), np.full((64, 256), 1 << 13)):
        with pytest.raises(ValueError, match="count"):
            using.fit(counts.astype(np.uint32))
    for arguments in [*given, (parsed, base[:-1], units), (parsed, None, units), (parsed, base, units[1:])]:
        with pytest.raises(MalformedError):
            using.read(*arguments)


def test_scales_whose_frame_is_as_long_as_they_are() -> None:
    """Broke: they were written as that frame, which a reader takes for the scales; no larger block has so few."""
    told = "2342324233243334254332423333342332232332432443314234232433222223"
    scales = np.array([int(digit) for digit in told], np.uint8)
    new, old = np.full(512 * 64, 0x3C01, "<u2"), np.full(512 * 64, 0x3C00, "<u2")
    for part in range(8, 65):
        target, base = (whole[: 512 * part].data.cast("B") for whole in (new, old))
        plan = ulp.plan(target, base, Element.BF16, [(512, 512 * 64)])
        assert plan is not None
        plan = replace(plan, groups=Groups(plan.groups.sizes, scales[:part]))
        parsed = payload.parse(memoryview(ulp.write(plan)), Element.BF16, 1024 * part)
        assert np.array_equal(parsed.groups.scales, scales[:part])
