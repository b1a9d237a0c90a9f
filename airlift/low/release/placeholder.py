"""The word for what is still to be filled in: drafts write it, and no release is made of it (SPEC L3.5)."""

from collections.abc import Iterator
from typing import Any

from airlift.errors import ManifestError

FILL_IN = "FILL-IN"


def check_filled_in(name: str, document: Any) -> None:
    """Check that an authored document, which people know as ``name``, leaves nothing to be filled in.

    Raises:
        ManifestError: it does; the error names the first place.
    """
    place = next(_places(document, ""), None)
    if place is not None:
        raise ManifestError(
            f"{name}: {place} is still to be filled in",
            expected=f"your decision instead of {FILL_IN}",
            hint="nobody but you knows it: write it down, then run the same command again",
        )


def _places(value: Any, path: str) -> Iterator[str]:
    if value == FILL_IN:
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _places(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _places(item, f"{path}.{number}")
