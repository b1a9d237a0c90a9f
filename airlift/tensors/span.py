"""Spans: what the bytes of a file are."""

from collections.abc import Iterable
from dataclasses import dataclass

from airlift.errors import MalformedError
from airlift.tensors.element import Element


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
