"""Find hints for the encoder: which matrices changed by an adapter, or by a matrix of low rank, judging by samples.

A hint decides how small a bundle becomes, never whether it is right. A sample is
some rows of a matrix and of its base, at most a few MiB; and, where names and shapes fit, an adapter's factors.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from airlift.codec.predict import adapter, exact, lowrank_search
from airlift.codec.predict.adapter_search import explain
from airlift.codec.predict.exact import Array, Bits
from airlift.errors import MalformedError
from airlift.low.bundle.planning.candidates import is_open
from airlift.low.bundle.planning.families import Families
from airlift.tensors.element import Element
from airlift.tensors.matching.adapters import Candidate, Pair, find_adapters, pairs
from airlift.tensors.matching.conversions import Place
from airlift.tensors.matching.hint import Adapter, LowRank
from airlift.tensors.matching.match import FileSpans, Read
from airlift.tensors.matching.segment import Hinted, Segment, Source, mark
from airlift.tensors.span import TensorSpan

ADAPTER_ROWS = 64
SURE = 0.04
"""An adapter that predicts a larger share of the elements wrong is not used where factors of our own fit as well."""
MAX_ROW_BYTES = 1 << 20
MAX_FACTOR_BYTES = 16 << 20
"""The limit for both factors together: with the base of a block they stay within what a block may read."""

Pairs = Mapping[str, Sequence[Pair]]


def find_hints(
    files: Sequence[FileSpans], bases: int, found: Sequence[Sequence[Segment]], read: Read
) -> list[list[Segment]]:
    """Return the segments of each target, with a segment of its own for each matrix that has a hint.

    Files are numbered: the bases first, then the targets, of which ``found`` has the segments. A target is explained
    by adapters of files before it.
    """
    known = pairs((number, file.spans) for number, file in enumerate(files))
    return [
        mark(segments, _file(number, files[number].spans, segments, _near(known, number), read))
        for number, segments in enumerate(found, bases)
    ]


@dataclass(frozen=True, slots=True)
class _Matrix:
    """A tensor of a target file that has a counterpart, and a sample of rows of both."""

    span: TensorSpan
    rows: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]"
    new: Bits
    old: Bits

    def hinted(self, hint: Adapter | LowRank, factors: tuple[Source, ...] = ()) -> Hinted:
        return Hinted(self.span.start, self.span.end, self.span.shape[1], hint, factors)


def _near(known: Pairs, reach: int) -> Pairs:
    """Return those pairs whose file has a number below ``reach``."""
    return {module: [pair for pair in group if pair.a.file < reach] for module, group in known.items()}


def _file(
    number: int, spans: Sequence[TensorSpan], segments: Sequence[Segment], known: Pairs, read: Read
) -> Iterator[Hinted]:
    """Yield the hints for the matrices of one target."""
    ends, families = [segment.end for segment in segments], Families()
    for span in spans:
        if not _is_matrix(span):
            continue
        holder, family = segments[bisect_right(ends, span.start)], families.of(span.name)
        if not is_open(Place(number, span), holder, read):
            continue
        candidates = list(find_adapters(span, known))
        if not candidates and not family.due():
            continue
        matrix = _sample(number, span, holder, read)
        if matrix is None or np.array_equal(matrix.new, matrix.old):
            continue
        hint = _hint(matrix, candidates, read)
        family.found = family.found or hint is not None
        if hint is not None:
            yield hint


def _hint(matrix: _Matrix, candidates: Sequence[Candidate], read: Read) -> Hinted | None:
    """Return the hint that predicts a matrix best, None if none does."""
    hints = [_explained(matrix, item, read) for item in candidates]
    wrong, best = min((hint for hint in hints if hint is not None), key=itemgetter(0), default=(1.0, None))
    span = matrix.span
    if wrong > SURE and lowrank_search.probe(matrix.new, matrix.old, span.element, span.shape[0]):
        return matrix.hinted(LowRank(span.shape[1]))
    return best


def _is_matrix(span: TensorSpan) -> bool:
    """Return whether a tensor is a matrix of floats, neither too small nor with rows that are too long."""
    return (
        span.element in exact.FLOATS
        and len(span.shape) == 2
        and min(span.shape) >= lowrank_search.LEAST_SIDE
        and span.shape[1] * span.element.size <= MAX_ROW_BYTES
    )


def _sample(number: int, span: TensorSpan, holder: Segment, read: Read) -> _Matrix | None:
    """Return a sample of a matrix, None if it has no counterpart."""
    if holder.source is None:
        return None
    step = span.shape[1] * span.element.size
    rows = lowrank_search.sample_rows(span.shape[0])
    shift = holder.source.start - holder.start
    new = b"".join(read(number, span.start + row * step, span.start + (row + 1) * step) for row in rows)
    start = span.start + shift
    old = b"".join(read(holder.source.file, start + row * step, start + (row + 1) * step) for row in rows)
    if len(new) != len(old) or len(new) != len(rows) * step:
        return None
    bits = (exact.from_bytes(memoryview(data), span.element).reshape(len(rows), -1) for data in (new, old))
    return _Matrix(span, rows, *bits)


def _explained(matrix: _Matrix, candidate: Candidate, read: Read) -> tuple[float, Hinted] | None:
    """Return the share of a matrix that an adapter predicts wrong, and the hint; None if it does not predict it."""
    pair, transposed = candidate.pair, candidate.transposed
    left, right = (pair.a, pair.b) if transposed else (pair.b, pair.a)
    if left.span.length + right.span.length > MAX_FACTOR_BYTES or pair.rank > adapter.MAX_RANK:
        return None
    height, width = matrix.span.shape
    some = slice(None, None, max(1, len(matrix.rows) // ADAPTER_ROWS))
    try:
        whole = _load(read, left.file, left.span, (height, pair.rank), transposed=transposed)
        other = _load(read, right.file, right.span, (pair.rank, width), transposed=transposed)
    except MalformedError:
        return None
    found = explain(matrix.new[some], matrix.old[some], matrix.span.element, whole[matrix.rows[some]], other)
    if found is None:
        return None
    hint = Adapter(
        left=left.span.element, right=right.span.element, columns=width, rank=pair.rank, scale=found.scale,
        per_product=found.per_product, left_transposed=transposed, right_transposed=transposed,
    )  # fmt: skip
    sources = (Source(item.file, item.span.start, item.span.end) for item in (left, right))
    return found.wrong, matrix.hinted(hint, tuple(sources))


def _load(read: Read, number: int, span: TensorSpan, shape: tuple[int, int], *, transposed: bool) -> Array:
    data = memoryview(read(number, span.start, span.end))
    return adapter.load(data, Element(span.element), shape, transposed=transposed)
