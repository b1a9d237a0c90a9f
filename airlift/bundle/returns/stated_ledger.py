"""What all that goes back says of its ledger: the newest checkpoint, its size and root (SPEC 9.12, 9.14)."""

from dataclasses import dataclass
from typing import Any

from airlift import strict
from airlift.bundle import fields
from airlift.errors import MalformedError

MAX_NOTE = 256 << 10
ROOT_BITS = 384
START_DIGITS = 10
"""How many first hex digits of a digest a typed code says, of a root for instance."""
KEYS = frozenset({"checkpoint", "ledger"})


@dataclass(frozen=True, slots=True)
class StatedLedger:
    """The newest checkpoint note, and what it says: how many entries, and their root (hex)."""

    checkpoint: str
    size: int
    root: str

    def to_json(self) -> dict[str, Any]:
        """Return the members of the document."""
        return {"checkpoint": self.checkpoint, "ledger": {"size": self.size, "root": self.root}}


def parse(document: Any, what: str) -> StatedLedger:
    """Return what a document says of its ledger; that the note says the same is for who can verify it."""
    note = strict.member(document, "checkpoint", str, what)
    if not note or len(note) > MAX_NOTE:
        raise MalformedError(f"{what} has no checkpoint, or one that is too long")
    ledger = strict.only(strict.member(document, "ledger", dict, what), frozenset({"size", "root"}), what)
    return StatedLedger(
        note, fields.count(ledger, "size", what), fields.digest(ledger, "root", what, bits=ROOT_BITS)
    )
