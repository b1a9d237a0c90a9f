"""The entry of what was trained inside: a release that was made here, of a held one (SPEC 8.6, 9.2)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from airlift import strict
from airlift.bundle.fields import Marking
from airlift.bundle.manifest import ReleaseRef
from airlift.ledger.entries import shape
from airlift.ledger.entries.shape import NamedComponent


@dataclass(frozen=True, slots=True)
class Registration:
    """The release ``release`` was made of the held release ``base`` and of the components named ``registered``.

    ``components`` are all of the release; ``variants`` are the names of those that were chosen (SPEC 7.14).
    """

    TYPE: ClassVar[str] = "register"

    release: ReleaseRef
    base: ReleaseRef
    marking: Marking
    components: tuple[NamedComponent, ...]
    registered: tuple[str, ...]
    variants: tuple[str, ...] = ()

    @classmethod
    def parse(cls, detail: Any, what: str) -> "Registration":
        """Parse a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        return cls(
            release=ReleaseRef.from_json(strict.member(detail, "release", dict, what), f"{what}: release"),
            base=ReleaseRef.from_json(strict.member(detail, "from", dict, what), f"{what}: from"),
            marking=Marking.from_json(strict.member(detail, "marking", dict, what), what),
            components=shape.items(detail, "components", NamedComponent.parse, what),
            registered=shape.texts(detail, "registered", what),
            variants=shape.choice(detail, what),
        )

    def format(self) -> dict[str, Any]:
        """Return the detail."""
        return {
            "release": self.release.to_json(),
            "from": self.base.to_json(),
            "marking": self.marking.to_json(),
            "components": [item.format() for item in self.components],
            "registered": list(self.registered),
            **({"variants": list(self.variants)} if self.variants else {}),
        }
