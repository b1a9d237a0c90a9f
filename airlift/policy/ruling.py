"""Rulings: what each rule says of a bundle or release, met or not, with what it asks for and what was found. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from airlift.errors import RefusedError

MARKING, WAIVER, REVOCATION, REQUIREMENT = "marking", "waiver", "revocation", "requirement"
FLOOR, QUORUM, AGE, TEST = "floor", "quorum", "age", "test"
ADDRESS, REGISTRATION, VARIANT = "address", "registration", "variant"
NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What one rule says about ``subject``: the refusal is None if the rule is met. All texts are for people."""

    rule: str
    subject: str
    expected: str
    found: str
    refusal: RefusedError | None = None

    @property
    def met(self) -> bool:
        """Whether the rule has nothing against it."""
        return self.refusal is None

    @classmethod
    def against(cls, rule: str, subject: str, refusal: RefusedError) -> "Ruling":
        """Return the ruling that a refusal says."""
        return cls(rule, subject, refusal.expected or "", refusal.found or "", refusal)

    def to_json(self) -> dict[str, Any]:
        """Return the document form."""
        refusal = self.refusal
        return {
            "rule": self.rule,
            "subject": self.subject,
            "expected": self.expected,
            "found": self.found,
            "met": self.met,
            **({"code": refusal.code, "message": refusal.message} if refusal is not None else {}),
        }


def refusals(rulings: Iterable[Ruling]) -> list[RefusedError]:
    """Return what stands against it, in order."""
    return [ruling.refusal for ruling in rulings if ruling.refusal is not None]
