"""Choose the files of a source by its patterns; leftovers are never among them (SPEC 5.1-9, 5.1-10)."""

from collections.abc import Iterable
from dataclasses import dataclass

from airlift.bundle.patterns import Patterns, leftover
from airlift.errors import ForbiddenFileError


@dataclass(frozen=True, slots=True)
class Chosen:
    """Paths of a source, sorted: those of the component, those that patterns leave out, and leftovers (shortened)."""

    kept: tuple[str, ...]
    left_out: tuple[str, ...]
    skipped: tuple[str, ...]


def choose(paths: Iterable[str], patterns: Patterns, *, alone: bool = False) -> Chosen:
    """Return what becomes of each path; ``alone`` says that a person named this one file, whatever it is called.

    Raises:
        ForbiddenFileError: a pattern of ``exclude`` fits no file, as a slip of the pen does.
    """
    found = sorted(paths)
    over = {} if alone else {path: top for path in found if (top := leftover(path)) is not None}
    files = [path for path in found if path not in over]
    idle = patterns.idle(files)
    if idle:
        raise ForbiddenFileError(
            f"a pattern of exclude fits no file: {idle[0]!a}",
            expected="a glob on the whole relative path, where * is any run of characters",
            hint="correct or remove it; leftovers such as .git and .cache are left out without it",
        )
    left = tuple(path for path in files if patterns.leave_out(path))
    kept = sorted(set(files) - set(left))
    return Chosen(tuple(kept), left, tuple(sorted(set(over.values()))))
