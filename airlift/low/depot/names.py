"""What is in a depot, by name alone: for shells that complete a word, so nothing more is loaded than that takes."""

from pathlib import Path

from airlift import files, strict

MAX_BYTES = 64 << 20


def releases(depot: Path) -> list[str]:
    """Return the releases of a depot as ``name@version``, oldest first; nothing if there is no depot.

    Raises:
        AirliftError: there is one, and it cannot be read.
    """
    path = depot / "releases.json"
    if not path.is_file():
        return []
    document = strict.parse(files.read_bounded(path, MAX_BYTES), limit=MAX_BYTES, what=path.name)
    found = strict.member(document, "releases", list, path.name)
    return [f"{strict.member(one, 'name', str)}@{strict.member(one, 'version', str)}" for one in found]


def enclaves(depot: Path) -> list[str]:
    """Return the names of the enclaves that a depot knows."""
    return sorted(path.stem for path in depot.glob("enclaves/*.json"))
