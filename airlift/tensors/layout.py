"""What a reader finds in a file: its tensors, and those that lie in other files beside it."""

import math
from dataclasses import dataclass

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.span import TensorSpan

MAX_TENSORS = 1 << 18
MAX_DIMENSIONS = 32


@dataclass(frozen=True, slots=True)
class Layout:
    """``tensors`` of the file that was read; ``elsewhere`` are those of files beside it, by relative path.

    Such a path is looked for among the files of the component; it is never opened.
    """

    tensors: tuple[TensorSpan, ...] = ()
    elsewhere: tuple[tuple[str, TensorSpan], ...] = ()


def tensor(name: str, element: Element, shape: tuple[int, ...], start: int, length: int) -> TensorSpan:
    """Return the span of a tensor; as bytes if its length is not that of its shape.

    Raises:
        MalformedError: a dimension is negative, or there are too many.
    """
    if len(shape) > MAX_DIMENSIONS or any(dimension < 0 for dimension in shape):
        raise MalformedError("a tensor has an impossible shape", found=str(shape[:MAX_DIMENSIONS]))
    shown = name or f"@{start}"
    if element is Element.BYTES or math.prod(shape) * element.size != length:
        return TensorSpan(shown, Element.BYTES, (length,), start, start + length)
    return TensorSpan(shown, element, shape, start, start + length)


def moved(span: TensorSpan, by: int) -> TensorSpan:
    """Return a span of a part of a file that starts ``by`` bytes into it."""
    return TensorSpan(span.name, span.element, span.shape, span.start + by, span.end + by)
