"""What a reader finds in a file: its tensors, and those that lie in other files beside it."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

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
    """Return the span of a tensor: flat if its length is not that of its shape, bytes if it is of no whole numbers.

    Raises:
        MalformedError: a dimension is negative, or there are too many.
    """
    if len(shape) > MAX_DIMENSIONS or any(dimension < 0 for dimension in shape):
        raise MalformedError("a tensor has an impossible shape", found=str(shape[:MAX_DIMENSIONS]))
    shown = name or f"@{start}"
    if length % element.size:
        element = Element.BYTES
    if element is Element.BYTES or math.prod(shape) * element.size != length:
        shape = (length // element.size,)
    return TensorSpan(shown, element, shape, start, start + length)


def moved(span: TensorSpan, by: int) -> TensorSpan:
    """Return a span of a part of a file that starts ``by`` bytes into it."""
    return TensorSpan(span.name, span.element, span.shape, span.start + by, span.end + by)


def distinct(tensors: Iterable[TensorSpan]) -> Iterator[TensorSpan]:
    """Yield tensors of different names and places: of several in one place the first, a name again with a number."""
    places, names = set[tuple[int, int]](), dict[str, int]()
    for span in tensors:
        if (span.start, span.end) in places:
            continue
        places.add((span.start, span.end))
        names[span.name] = count = names.get(span.name, 0) + 1
        yield span if count == 1 else replace(span, name=f"{span.name}#{count}")
