"""Find the scales that numbers are integers of. For the encoder only.

In a group, the smallest number is a few steps and the largest often a round limit, which makes guesses. With a guess
each number is so many steps, and says between which bounds the scale lies; the bounds of all of them are the answer.
That it makes every number exactly is checked here, and by the codec once more.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from airlift.codec.predict import rounding
from airlift.codec.predict.exact import Bits
from airlift.codec.predict.quantised import TILE, Singles, flushed
from airlift.tensors.element import Element

Doubles = NDArray[np.float64]
Places = NDArray[np.intp]

LIMITS = (7.0, 7.5, 8.0, 15.0, 31.0, 63.0, 127.0, 127.5, 128.0, 255.0)
"""What the largest number of a group may be, in steps."""
RANGES = (255.0, 15.0)
"""How many steps the smallest and the largest number of a group, or zero, are apart if there is a zero point."""
SMALLEST = 12
"""The smallest number of a group is at most so many steps, if the largest is no limit."""
DOUBTS = (1.0, 1.0, 0.25, 0.0)
"""How much of what a scale may be off counts, in turns that each make it more exact.

Of integers of up to 127 in groups of 32 bfloat16 numbers, none of 600,000 is missed; of up to 128, 1 in 70,000.
"""
MOST = {Element.BF16: 255, Element.F16: 255, Element.F32: 32767}
"""More steps than that, numbers of so few bits do not tell apart; known ones may be more."""
BETWEEN = 16
"""So many scales between the bounds are tried where the middle of them is none: two steps may make one number."""
SAMPLE = 512
LIMITS_TRIED = np.array(LIMITS, np.float32)
SMALLEST_TRIED = np.arange(1, SMALLEST + 1, dtype=np.float32)
TOLERANCE = {Element.BF16: 2.0**-7, Element.F16: 2.0**-10, Element.F32: 2.0**-21}
"""By how much a number and a guess may be off together, of the number."""
NARROWER = (Element.F16, Element.BF16)
NEIGHBOURS = 64
"""Where steps lie closer than numbers do, one in so many numbers may be made by the step beside the nearest one."""
RARE = 16
"""If no more than one group in so many fits none of the guesses, all scales are guessed that are possible."""
INFINITE = {Element.BF16: 0x7F80, Element.F16: 0x7C00, Element.F32: 0x7F800000}


@dataclass(frozen=True, slots=True)
class Groups:
    """Numbers that share a scale, a row of bits without signs for each scale, filled up with zeros.

    ``known`` are the magnitudes of the steps, where the source has them; ``ranges`` how far the smallest and the
    largest number are apart, where that is known.
    """

    bits: Bits
    element: Element
    known: Singles | None = None
    ranges: Singles | None = None

    def part(self, chosen: Places | slice) -> "Groups":
        """Return some of the groups."""
        known, ranges = (None if some is None else some[chosen] for some in (self.known, self.ranges))
        return Groups(self.bits[chosen], self.element, known, ranges)

    def sampled(self) -> "Groups":
        """Return the groups with at most SAMPLE numbers each, evenly spread."""
        every = slice(None, None, -(-self.bits.shape[1] // SAMPLE))
        return Groups(self.bits[:, every], self.element, None if self.known is None else self.known[:, every])

    def values(self, offset: int = 0) -> Doubles:
        """Return the numbers, or those that come so many places after them in their type."""
        bits = self.bits
        if offset:
            bits = (bits.astype(np.int64) + offset).clip(0).astype(bits.dtype)
        return rounding.singles(bits, self.element).view(np.float32).astype(np.float64)


Guesses = Callable[[Groups], Iterator[Doubles]]


def fit(groups: Groups, likely: Singles | None = None) -> Singles | None:
    """Return the scale of each group; None if the numbers of one are no steps of any scale.

    Zeros alone have the scale 1, by which they keep their signs. Where those of ``likely`` fit, they are taken; where
    known steps do not, others may.
    """
    if groups.bits.max(initial=0) >= INFINITE[groups.element]:
        return None
    found = np.zeros(len(groups.bits), np.float32)
    step = max(TILE // max(groups.bits.shape[1], 1), 1)
    for first in range(0, len(found), step):
        some = slice(first, first + step)
        part = _fitted(groups.part(some), None if likely is None else likely[some])
        if part is None:
            return None
        found[some] = part
    return found


def ranged(matrix: Bits, element: Element) -> Singles:
    """Return how far the smallest and the largest number of each row are apart, or the largest and zero."""
    numbers = rounding.singles(matrix, element).view(np.float32)
    with np.errstate(all="ignore"):
        found: Singles = numbers.max(axis=1, initial=0) - numbers.min(axis=1, initial=0)
    return found


def narrowest(
    scales: Singles, groups: Groups, elements: Sequence[Element] = NARROWER
) -> tuple[Element, Bits]:
    """Return scales as numbers of the first of some types that makes the same, or of float32."""
    for element in elements:
        bits = rounding.rounded(scales.view(np.uint32), element)
        again = rounding.singles(bits, element).view(np.float32)
        if made(groups.part(slice(0, 8)), again[:8]).all() and made(groups, again).all():
            return element, bits
    return Element.F32, scales.view(np.uint32)


def made(groups: Groups, scales: Singles) -> NDArray[np.bool_]:
    """Return for each group whether its scale makes all its numbers."""
    by = flushed(scales)[:, None]
    wanted = rounding.singles(groups.bits, groups.element).view(np.float32)
    with np.errstate(all="ignore"):
        count = np.rint(wanted / by) if groups.known is None else groups.known
        count = np.nan_to_num(count, nan=0, posinf=0)
        good = _product(count, by, groups.element) == groups.bits
        if groups.known is None:
            rows, columns = np.nonzero(~good)
            if len(rows) <= good.size // NEIGHBOURS:
                good[rows, columns] = _beside(count[rows, columns], by[rows, 0], groups, rows, columns)
    found: NDArray[np.bool_] = good.all(axis=1)
    if groups.known is None:
        found &= count.max(axis=1, initial=0) <= MOST[groups.element]
    return found


def _product(count: Singles, by: Singles, element: Element) -> Bits:
    return rounding.rounded(flushed(np.ascontiguousarray(count * by)).view(np.uint32), element)


def _beside(count: Singles, by: Singles, groups: Groups, rows: Places, columns: Places) -> NDArray[np.bool_]:
    """Return which numbers the step above or the one below makes."""
    wanted = groups.bits[rows, columns]
    above, below = (_product(count + np.float32(way), by, groups.element) == wanted for way in (1, -1))
    found: NDArray[np.bool_] = above | below
    return found


def _fitted(groups: Groups, likely: Singles | None) -> Singles | None:
    found = np.ones(len(groups.bits), np.float32)
    left = np.flatnonzero(groups.bits.any(axis=1))
    if likely is not None:
        good = made(groups.part(left), likely[left])
        found[left[good]], left = likely[left[good]], left[~good]
    alone = Groups(groups.bits, groups.element, ranges=groups.ranges)
    if groups.known is not None:
        left = _settled(groups, left, _largest, found)
    left = _settled(alone, left, _guesses, found)
    if 0 < RARE * len(left) <= len(found):
        left = _settled(alone, left, _every, found, thorough=True)
    return None if len(left) else found


def _settled(
    groups: Groups, left: Places, guesses: Guesses, found: Singles, *, thorough: bool = False
) -> Places:
    """Put the scales that guesses lead to into ``found``; return which of the groups ``left`` fit none."""
    part, rest = groups.part(left), np.arange(len(left))
    for guess in guesses(part):
        if not len(rest):
            break
        scales, good = _solved(part.part(rest), guess[rest], thorough=thorough)
        found[left[rest[good]]], rest = scales[good], rest[~good]
    return left[rest]


def _largest(groups: Groups) -> Iterator[Doubles]:
    """Yield any scales: bounds alone decide where steps are known."""
    yield groups.values().max(axis=1)


def _guesses(groups: Groups) -> Iterator[Doubles]:
    """Yield scales to begin with, likely ones first."""
    values = groups.values()
    smallest, largest = np.where(values > 0, values, np.inf).min(axis=1), values.max(axis=1)
    yield smallest
    for limit in LIMITS:
        yield largest / limit
    if groups.ranges is not None:
        for steps in RANGES:
            yield groups.ranges / np.float64(steps)
    for count in range(2, SMALLEST + 1):
        yield smallest / count


def _every(groups: Groups) -> Iterator[Doubles]:
    """Yield the likely scales, then every one of which the largest number may be so many steps."""
    yield from _guesses(groups)
    largest = groups.values().max(axis=1)
    for count in range(1, MOST[Element.BF16] + 1):
        yield largest / count


def _solved(groups: Groups, guess: Doubles, *, thorough: bool) -> tuple[Singles, NDArray[np.bool_]]:
    """Return the scales that the bounds of a sample lead to, or those of all numbers, and whether they fit.

    If ``thorough``, several scales between the bounds are tried.
    """
    sample = groups.sampled()
    scales, good = _making(sample, _bounded(sample, guess), thorough=thorough)
    near = np.flatnonzero(good)
    good[near] = made(groups.part(near), scales[near])
    near = near[~good[near]]
    if len(near):
        part = groups.part(near)
        bounds = _bounded(part, scales[near].astype(np.float64))
        scales[near], good[near] = _making(part, bounds, thorough=thorough)
    return scales, good


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What scales may be, of each group: the middle after each turn, and between which bounds for sure."""

    turns: Sequence[Singles]
    low: Doubles
    high: Doubles

    def tried(self, *, thorough: bool) -> Iterator[Singles]:
        """Yield scales, the likeliest first; one alone if not ``thorough``."""
        yield self.turns[-1]
        if thorough and len(self.turns) > 1:
            yield from self.turns[-2::-1]
            for part in range(1, 2 * BETWEEN, 2):
                yield (self.low + (self.high - self.low) * (part / (2 * BETWEEN))).astype(np.float32)


def _making(groups: Groups, bounds: _Bounds, *, thorough: bool) -> tuple[Singles, NDArray[np.bool_]]:
    """Return of each group the first scale that makes its numbers, and whether one does."""
    found, good = bounds.turns[-1].copy(), np.zeros(len(groups.bits), np.bool_)
    left = np.arange(len(found))
    for scales in bounds.tried(thorough=thorough):
        right = made(groups.part(left), scales[left])
        found[left[right]], good[left[right]] = scales[left[right]], True
        left = left[~right]
        if not len(left):
            break
    return found, good


def _bounded(groups: Groups, guess: Doubles) -> _Bounds:
    """Return what numbers whose steps are sure allow the scales to be; in turns, as more become so."""
    values, known = groups.values(), groups.known
    least, most = (values + groups.values(-1)) / 2, (values + groups.values(1)) / 2
    off, scales, turns = np.full(len(values), TOLERANCE[groups.element]), guess, list[Singles]()
    lowest, highest = guess, guess
    with np.errstate(all="ignore"):
        for doubt in DOUBTS if known is None else DOUBTS[:1]:
            count = np.rint(values / scales[:, None]) if known is None else known
            sure = (count > 0) & (values > 0)
            if known is None:
                sure &= (most - values) / scales[:, None] + count * (doubt * off[:, None]) < 0.5
            low = np.where(sure, least / count, 0).max(axis=1)
            high = np.where(sure, most / count, np.inf).min(axis=1)
            better = (low <= high) & np.isfinite(high)
            scales = np.where(better, (low + high) / 2, scales)
            off = np.where(better, (high - low) / (2 * scales), off)
            turns.append(scales.astype(np.float32))
            if doubt == DOUBTS[0]:
                lowest, highest = np.where(better, low, lowest), np.where(better, high, highest)
    return _Bounds(turns, lowest, highest)


def plausible(bits: Bits, element: Element) -> bool:
    """Return whether a few numbers (bits without signs, more than none) may be steps of one scale; quickly."""
    values = rounding.singles(bits, element).view(np.float32)
    values = values[values > 0]
    if not len(values):
        return True
    smallest, largest = values.min(), values.max()
    with np.errstate(all="ignore"):
        guesses = np.concatenate([largest / LIMITS_TRIED, smallest / SMALLEST_TRIED])[:, None]
        count = values / guesses
        whole = np.rint(count)
        near = np.abs(count - whole) <= count * TOLERANCE[element]
        return bool((near & (whole > 0)).all(axis=1)[(whole <= MOST[element]).all(axis=1)].any())
