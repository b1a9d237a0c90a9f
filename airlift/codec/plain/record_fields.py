"""Records (blocks of quantised numbers) as planes, one for each field, and back (SPEC C7, U1).

The plane of a field is its bytes in all elements, one after the other.
"""

import numpy as np
from numpy.typing import NDArray

from airlift.tensors.element import Element

Bytes = NDArray[np.uint8]


def split_fields(data: Bytes, fields: tuple[int, ...]) -> list[Bytes]:
    """Return a plane for each field of whole elements."""
    elements, start, planes = data.reshape(-1, sum(fields)), 0, []
    for width in fields:
        planes.append(np.ascontiguousarray(elements[:, start : start + width]).reshape(-1))
        start += width
    return planes


def to_planes(data: memoryview, element: Element) -> memoryview:
    """Return the planes of whole records, one after the other; other elements as they are."""
    if not element.record:
        return data
    return np.concatenate(split_fields(np.frombuffer(data, np.uint8), element.fields)).data


def from_planes(data: memoryview, element: Element) -> memoryview:
    """Return the records whose planes these are; other elements as they are."""
    if not element.record:
        return data
    planes = np.frombuffer(data, np.uint8)
    elements = np.empty((planes.size // element.size, element.size), np.uint8)
    start = 0
    for width in element.fields:
        end = start + width
        elements[:, start:end] = planes[start * len(elements) : end * len(elements)].reshape(-1, width)
        start = end
    return elements.reshape(-1).data
