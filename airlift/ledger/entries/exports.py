"""The entries of what is served: an export, and the end of one that followed (SPEC 8.7, 9.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from airlift import strict
from airlift.bundle.manifest import ReleaseRef
from airlift.ledger.entries import shape


@dataclass(frozen=True, slots=True)
class Export:
    """A release is served in a layout at ``output``, an absolute path; if it follows, what is active from then on.

    ``components`` are those that are served (none: all), ``names`` what they are served as where an operator said so,
    ``variants`` the names of those that it is served with at first (SPEC 8.7-11).
    """

    TYPE: ClassVar[str] = "export"

    release: ReleaseRef
    layout: str
    output: str
    follow: bool
    components: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    variants: tuple[str, ...] = ()

    @classmethod
    def parse(cls, detail: Any, what: str) -> "Export":
        """Parse a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        return cls(
            release=ReleaseRef.from_json(strict.member(detail, "release", dict, what), f"{what}: release"),
            layout=strict.member(detail, "layout", str, what),
            output=strict.member(detail, "output", str, what),
            follow=strict.member(detail, "follow", bool, what),
            components=shape.texts(detail, "components", what),
            names=shape.table(detail, "names", str, what),
            variants=shape.choice(detail, what),
        )

    def format(self) -> dict[str, Any]:
        """Return the detail."""
        return {
            "release": self.release.to_json(),
            "layout": self.layout,
            "output": self.output,
            "follow": self.follow,
            "components": list(self.components),
            "names": dict(self.names),
            **({"variants": list(self.variants)} if self.variants else {}),
        }


@dataclass(frozen=True, slots=True)
class Unfollow:
    """What is served at ``output`` is not kept in step from here on."""

    TYPE: ClassVar[str] = "unfollow"

    output: str

    @classmethod
    def parse(cls, detail: Any, what: str) -> "Unfollow":
        """Parse a detail; errors as of :meth:`airlift.ledger.entries.shape.Detail.parse`."""
        return cls(strict.member(detail, "output", str, what))

    def format(self) -> dict[str, Any]:
        """Return the detail."""
        return {"output": self.output}
