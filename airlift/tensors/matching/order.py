"""The order of the targets of a bundle: a file is coded against files before it, so what explains others goes first.

Adapters explain merged models; numbers explain what was rounded from them, never the other way round. Packed numbers
are explained by nothing, but explain floats that were made from them. What is opaque explains nothing and goes last.
Pure.
"""

import re
from collections import Counter
from collections.abc import Sequence

from airlift.tensors.matching.adapters import pairs
from airlift.tensors.matching.conversions import is_packed, width
from airlift.tensors.matching.match import FileSpans

BESIDE = 16
"""Parts of tensors are sought where files beside those of their model have at least such a part of their bytes."""

DIGITS = re.compile(r"\d+")


def order(files: Sequence[FileSpans]) -> list[int]:
    """Return the numbers of the files: adapters first, then packed numbers, then by bits a number, most first."""
    holders = adapter_holders(files)

    def key(number: int) -> tuple[bool, bool, float, int]:
        spans = files[number].spans
        return number not in holders, not any(map(is_packed, spans)), -width(spans), number

    return sorted(range(len(files)), key=key)


def adapter_holders(files: Sequence[FileSpans]) -> frozenset[int]:
    """Return the numbers of the files that hold the factors of adapters."""
    known = pairs((number, file.spans) for number, file in enumerate(files))
    return frozenset(pair.a.file for group in known.values() for pair in group)


def beside(files: Sequence[FileSpans], bases: int) -> list[int]:
    """Return for each file how many bytes of files lie before it that are no shards of its own model.

    Two shards of one model have nothing in common but whole tensors, and these are matched by content. Shards of an
    earlier version, among the first ``bases`` files, count.
    """
    found, total, own = [], 0, Counter[tuple[str, str]]()
    for number, file in enumerate(files):
        model = file.component, DIGITS.sub("", file.path)
        found.append(total - own[model])
        total += file.size
        own[model] += file.size if number >= bases else 0
    return found
