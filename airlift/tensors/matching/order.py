"""The order of the targets of a bundle: a file is coded against files before it, so what explains others goes first.

Adapters explain merged models; numbers explain what was rounded from them, never the other way round. What is opaque
explains nothing and goes last. Pure.
"""

from collections import Counter
from collections.abc import Sequence

from airlift.tensors.element import Element
from airlift.tensors.matching.adapters import pairs
from airlift.tensors.matching.match import FileSpans


def order(files: Sequence[FileSpans]) -> list[int]:
    """Return the numbers of the files: adapters first, then by the width of most of their numbers, widest first."""
    holders = adapter_holders(files)
    return sorted(
        range(len(files)), key=lambda number: (number not in holders, -_width(files[number]), number)
    )


def adapter_holders(files: Sequence[FileSpans]) -> frozenset[int]:
    """Return the numbers of the files that hold the factors of adapters."""
    known = pairs((number, file.spans) for number, file in enumerate(files))
    return frozenset(pair.a.file for group in known.values() for pair in group)


def _width(file: FileSpans) -> int:
    """Return the size in bytes of the element that most bytes of a file are of; 0 for opaque bytes and records."""
    lengths: Counter[Element] = Counter()
    for span in file.spans:
        lengths[span.element] += span.length
    most = max(lengths, key=lambda element: lengths[element], default=Element.BYTES)
    return 0 if most is Element.BYTES or most.record else most.size
