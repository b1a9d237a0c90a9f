"""The order of the targets of a bundle: a file is coded against files before it, so what explains others goes first.

Adapters explain merged models; numbers explain what was rounded from them, never the other way round. What is opaque
explains nothing and goes last. Pure.
"""

from collections.abc import Sequence

from airlift.tensors.matching.adapters import pairs
from airlift.tensors.matching.conversions import width
from airlift.tensors.matching.match import FileSpans


def order(files: Sequence[FileSpans]) -> list[int]:
    """Return the numbers of the files: adapters first, then by bits a number, most first."""
    holders = adapter_holders(files)
    return sorted(
        range(len(files)), key=lambda number: (number not in holders, -width(files[number].spans), number)
    )


def adapter_holders(files: Sequence[FileSpans]) -> frozenset[int]:
    """Return the numbers of the files that hold the factors of adapters."""
    known = pairs((number, file.spans) for number, file in enumerate(files))
    return frozenset(pair.a.file for group in known.values() for pair in group)
