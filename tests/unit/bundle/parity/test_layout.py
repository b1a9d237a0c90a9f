"""Layouts: every chunk in one stripe, volumes balanced, little filled up, stripes spread."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import MAX_CHUNK_BYTES, MIN_CHUNK_BYTES
from airlift.bundle.media_sizes import PRESETS
from airlift.bundle.parity import layout, stripe
from airlift.bundle.parity.layout import Layout, Redundancy
from airlift.errors import UsageError, VolumeTooSmallError
from tests.support.bundle_values import content

TWO, FIFTH = Redundancy(volumes=2), Redundancy(percent=20)


def chunks(*sizes: int) -> list[FileDigest]:
    return [content(f"chunk {number}", size) for number, size in enumerate(sizes)]


def lay_out(
    items: list[FileDigest], asked: Redundancy, count: int = 1, *, most: int = 99, fitting: bool = True
) -> Layout:
    return layout.lay_out(items, asked, most_volumes=most, least=count, fits=lambda _: fitting)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("1", Redundancy(1)),
        ("64", Redundancy(64)),
        (" 2 ", TWO),
        ("1%", Redundancy(0, 1)),
        ("100%", Redundancy(0, 100)),
    ],
)
def test_amounts(text: str, asked: Redundancy) -> None:
    assert layout.parse(text) == asked
    assert str(asked) == text.strip()


@pytest.mark.parametrize(
    "text", ["", "0", "65", "-1", "0%", "101%", "2.5%", "%", "two", "02", "1 %", "\u0662"]
)
def test_other_texts_are_no_amounts(text: str) -> None:
    with pytest.raises(UsageError, match="not an amount of parity"):
        layout.parse(text)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=60), st.integers(1, 60))
def test_runs_are_balanced(sizes: list[int], count: int) -> None:
    count = min(count, len(sizes))
    found = layout.runs(sizes, count)
    assert [index for run in found for index in run] == list(range(len(sizes)))
    assert len(found) == count
    assert all(found)
    sums = [sum(sizes[index] for index in run) for run in found]
    assert max(sums) <= sum(sizes) / count + 1.5 * max(sizes)


@given(
    st.lists(st.integers(1, 1000), min_size=1, max_size=120),
    st.integers(1, 9),
    st.sampled_from([TWO, Redundancy(1), Redundancy(64), FIFTH, Redundancy(0, 1), Redundancy(0, 100)]),
)
def test_every_layout_keeps_to_the_rules(sizes: list[int], count: int, asked: Redundancy) -> None:
    items, count = chunks(*sizes), min(count, len(sizes))
    found = lay_out(items, asked, count)
    placed = Counter(index for plan in found.stripes for index in plan.data)
    assert placed == dict.fromkeys(range(len(items)), 1)
    assert Counter(index for share in found.shares for index in share.data) == placed
    parity = Counter(place for share in found.shares for place in share.parity)
    assert parity == {(n, row): 1 for n, plan in enumerate(found.stripes) for row in range(plan.parity)}
    for plan in found.stripes:
        assert plan.size == max(sizes[index] for index in plan.data)
        assert 1 <= plan.parity <= stripe.MAX_PARITY
        assert len(plan.data) + plan.parity <= stripe.MAX_MEMBERS
    assert len(found.shares) == count + asked.volumes
    for share in found.shares:
        assert sum(found.sizes(share, items)) == sum(sizes[i] for i in share.data) + sum(
            found.stripes[number].size for number, _ in share.parity
        )


@given(st.lists(st.integers(1, 1000), min_size=3, max_size=90), st.integers(2, 6), st.integers(1, 3))
def test_across_volumes_a_stripe_has_one_member_on_each(sizes: list[int], count: int, parity: int) -> None:
    count = min(count, len(sizes))
    found = lay_out(chunks(*sizes), Redundancy(parity), count)
    places = [set(share.data) for share in found.shares]
    for number, plan in enumerate(found.stripes):
        assert all(len(there & set(plan.data)) <= 1 for there in places)
        assert [
            share.parity.count((number, row)) for share in found.shares[count:] for row in range(parity)
        ].count(1) == parity
    assert not any(share.parity for share in found.shares[:count])
    assert not any(share.data for share in found.shares[count:])


def test_little_is_filled_up() -> None:
    """Parity costs what N / volumes says, plus 1 % at most, however the sizes of chunks vary."""
    sizes = [1_000_000 - 7919 * number % 200_000 for number in range(384)]
    found = lay_out(chunks(*sizes), TWO, 3)
    parity = sum(plan.size * plan.parity for plan in found.stripes)
    assert 0.4 <= parity / (sum(sizes) + parity) < 0.404


def test_neighbours_by_name_are_in_different_stripes() -> None:
    items = chunks(*[1000] * 100)
    found = lay_out(items, FIFTH)
    assert [(len(plan.data), plan.parity) for plan in found.stripes] == [(20, 4)] * 5
    of = {items[index].sha512: number for number, plan in enumerate(found.stripes) for index in plan.data}
    ordered = [of[name] for name in sorted(of)]
    assert all(len(set(ordered[start : start + 5])) == 5 for start in range(96))


@pytest.mark.parametrize(
    ("percent", "shape"), [(1, (100, 1)), (3, (34, 2)), (5, (20, 1)), (20, (20, 4)), (100, (20, 20))]
)
def test_lanes_by_percent(percent: int, shape: tuple[int, int]) -> None:
    (plan,) = lay_out(chunks(*[10] * shape[0]), Redundancy(percent=percent)).stripes
    assert (len(plan.data), plan.parity) == shape


def test_the_fewest_volumes_that_fit() -> None:
    tried = []

    def fits(made: Layout) -> bool:
        tried.append(len(made.shares))
        return len(made.shares) >= 6

    found = layout.lay_out(chunks(*[10] * 50), TWO, most_volumes=99, least=2, fits=fits)
    assert (tried, len(found.shares)) == ([4, 5, 6], 6)


def test_no_layout_fits() -> None:
    for asked in (TWO, FIFTH):
        with pytest.raises(VolumeTooSmallError, match="do not fit volumes of this size"):
            lay_out(chunks(*[10] * 200), asked, 90, fitting=False)


def test_a_stripe_that_would_be_too_large_is_none() -> None:
    assert len(lay_out(chunks(*[64 << 20] * 9), TWO).shares) == 2 + 1
    with pytest.raises(VolumeTooSmallError):
        lay_out(chunks(*[64 << 20] * 9), TWO, 3)


@pytest.mark.parametrize("volume_bytes", [None, 1 << 20, 20_000_000, PRESETS["dvd"], PRESETS["bd100"]])
@pytest.mark.parametrize("target_bytes", [1, 10**6, 10**9, 10**11, 10**13])
@pytest.mark.parametrize(
    "asked", [TWO, Redundancy(64), FIFTH, Redundancy(percent=1), Redundancy(percent=100)]
)
def test_chunks_are_small_enough_for_stripes(
    volume_bytes: int | None, target_bytes: int, asked: Redundancy
) -> None:
    found = layout.chunk_bytes(asked, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, volume_bytes, target_bytes)
    assert MIN_CHUNK_BYTES <= found <= MAX_CHUNK_BYTES
    if asked.volumes and volume_bytes and volume_bytes >= 20_000_000:
        assert found <= volume_bytes // 128
        volumes = min(99 - asked.volumes, -(-target_bytes // (volume_bytes // 2)))
        assert (volumes + asked.volumes) * found <= stripe.MAX_BYTES
    if asked.percent:
        data = max(20, 100 // asked.percent)
        assert (data + -(-data * asked.percent // 100)) * found <= stripe.MAX_BYTES
