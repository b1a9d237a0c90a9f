"""Spans: what the bytes of a file are."""

from collections.abc import Iterable
from dataclasses import dataclass

from airlift.errors import MalformedError
from airlift.tensors.element import Element

SHORT_ROW = 64
SMALL_BYTES = 1024


@dataclass(frozen=True, slots=True)
class TensorSpan:
    """Bytes ``[start, end)`` of a file: one tensor, or opaque bytes (a header, a whole file) if ``name`` is empty.

    ``shape`` is in elements; an opaque span has the shape ``()`` and the element ``BYTES``.
    """

    name: str
    element: Element
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def length(self) -> int:
        """The length in bytes."""
        return self.end - self.start

    @property
    def row(self) -> int:
        """How many elements a row has, 0 if that is unknown.

        A row is the innermost dimension; of numbers that are no records those around it too while it is shorter than
        ``SHORT_ROW``, but for the outermost: a kernel of a convolution is one row for each channel that comes out.
        """
        if not self.shape or self.element is Element.BYTES:
            return 0
        row, *others = self.shape[::-1]
        for dimension in () if self.element.record else others[:-1]:
            if row >= SHORT_ROW:
                break
            row *= dimension
        return row

    @property
    def opaque(self) -> bool:
        """Whether this is no tensor."""
        return not self.name


def opaque(start: int, end: int) -> TensorSpan:
    """Return the opaque span ``[start, end)``."""
    return TensorSpan("", Element.BYTES, (), start, end)


def tile(tensors: Iterable[TensorSpan], size: int) -> tuple[TensorSpan, ...]:
    """Return spans that tile ``[0, size)``: the tensors that are not empty, and opaque spans between them.

    Raises:
        MalformedError: two tensors overlap, or one reaches outside the file.
    """
    spans, position = [], 0
    for span in sorted(tensors, key=lambda tensor: tensor.start):
        if span.start == span.end:
            continue
        if not position <= span.start < span.end <= size:
            raise MalformedError("tensors overlap or reach outside the file", found=ascii(span.name[:80]))
        if span.start > position:
            spans.append(opaque(position, span.start))
        spans.append(span)
        position = span.end
    if position < size:
        spans.append(opaque(position, size))
    return tuple(spans)


def coarse(spans: Iterable[TensorSpan]) -> tuple[TensorSpan, ...]:
    """Return spans that tile the same bytes, those joined that cost more apart: see SPEC 13, Matching.

    A tensor of less than ``SMALL_BYTES`` between opaque bytes becomes one of them.
    """
    joined = list[TensorSpan]()
    for span in spans:
        joined.append(span)
        if span.opaque:
            while len(joined) > 1 and joined[-2].opaque:
                joined[-2:] = [opaque(joined[-2].start, span.end)]
            if len(joined) > 2 and joined[-3].opaque and joined[-2].length < SMALL_BYTES:
                joined[-3:] = [opaque(joined[-3].start, span.end)]
    return tuple(joined)
