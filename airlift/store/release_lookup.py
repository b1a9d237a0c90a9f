"""References: how a person names a release, ``name@version`` or the beginning of its digest."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from airlift.bundle.fields import is_hex

MIN_PREFIX = 12
"""How many hex digits of a digest name a release at the least."""


class Named(Protocol):
    """A release, or what refers to one."""

    @property
    def label(self) -> str:
        """``name@version``."""

    @property
    def digest(self) -> str:
        """SHA-512 (hex) of its manifest."""


Kind = TypeVar("Kind", bound=Named)


def find(reference: str, known: Iterable[Kind]) -> tuple[Kind, ...]:
    """Return those that ``reference`` names: one if it is right, more if it is ambiguous."""
    is_prefix = len(reference) >= MIN_PREFIX and is_hex(reference, len(reference))
    return tuple(
        item for item in known if item.label == reference or (is_prefix and item.digest.startswith(reference))
    )
