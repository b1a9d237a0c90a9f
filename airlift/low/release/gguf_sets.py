"""GGUF files of a component: which cannot be placed, and whether split models are whole (SPEC L2.8)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from airlift.errors import ForbiddenFileError, FormatTooNewError, MalformedError
from airlift.tensors.formats import gguf

MAX_TOLD = 20
_PART = re.compile(r"(.*)-([0-9]{5})-of-([0-9]{5})(\.gguf)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Set:
    """A split model: what the names of its files begin and end with, and how many files it has."""

    prefix: str
    count: int
    suffix: str

    def name(self, part: int) -> str:
        """Return the name of a part, which counts from 0."""
        return f"{self.prefix}-{part + 1:05d}-of-{self.count:05d}{self.suffix}"


def examine(component: str, paths: Mapping[str, Path]) -> tuple[str, ...]:
    """Return a warning for each GGUF file that is carried as opaque bytes; ``paths`` are real by relative path.

    A damaged one is passed over here: who collects it refuses it.

    Raises:
        ForbiddenFileError: a split model lacks files, or one of its files has the name of another.
        UncheckedError: a file cannot be read.
    """
    warnings, sets = list[str](), dict[_Set, None]()
    for relative, path in paths.items():
        if not relative.lower().endswith(".gguf"):
            continue
        split = None
        try:
            split = gguf.read_header(path).split
        except FormatTooNewError as error:
            found = f" ({error.found})" if error.found else ""
            warnings.append(f"{component}/{relative} is carried as opaque bytes: {error.message}{found}")
        except MalformedError:
            continue
        belongs = _belongs(component, relative, split)
        if belongs is not None:
            sets[belongs] = None
    for one in sets:
        _check_whole(component, one, paths)
    return tuple(warnings)


def _belongs(component: str, relative: str, split: tuple[int, int] | None) -> _Set | None:
    """Return the split model that a file is a part of, by its name, which must be what its header says."""
    match = _PART.fullmatch(relative)
    named = (int(match[2]) - 1, int(match[3])) if match else None
    if split is not None and named != split:
        part, count = split
        raise ForbiddenFileError(
            f"component {component}: {relative} is part {part + 1} of {count} by its header, and not by its name",
            expected=f"a name that ends in -{part + 1:05d}-of-{count:05d}.gguf",
            hint="give the parts the names that they were published with",
        )
    return _Set(match[1], int(match[3]), match[4]) if match else None


def _check_whole(component: str, one: _Set, paths: Mapping[str, Path]) -> None:
    missing = [name for name in map(one.name, range(one.count)) if name not in paths]
    if missing:
        told = ", ".join(missing[:MAX_TOLD]) + (
            f" and {len(missing) - MAX_TOLD} more" if missing[MAX_TOLD:] else ""
        )
        raise ForbiddenFileError(
            f"component {component}: a model in {one.count} files lacks {told}",
            expected=f"{one.name(0)} to {one.name(one.count - 1)}",
            found=f"{one.count - len(missing)} of {one.count}",
            hint="put all parts into the component (`airlift low fetch` brings those of a hub)",
        )
