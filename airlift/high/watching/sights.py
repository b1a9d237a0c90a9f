"""What is known of a drop folder: plain values that a decision is made from (SPEC 7.13). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from airlift.errors import AirliftError


@dataclass(frozen=True, slots=True, order=True)
class Sight:
    """A volume as one look saw it: the name of its folder, and hex digits that differ when anything in it does."""

    name: str
    stamp: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What one look saw: volumes by name; ``strays`` are counted only, ``left_out`` are volumes beyond the bounds."""

    volumes: tuple[Sight, ...] = ()
    strays: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """What a volume that the reader accepts says of itself.

    ``key`` is equal for volumes that can be given together; ``manifest`` the SHA-512 of the bundle manifest.
    ``whole`` says that it has all chunks that it lists, of the bytes that it counts.
    """

    bundle: str
    manifest: str
    key: str
    volume: int
    volumes: int
    whole: bool

    @property
    def sequence(self) -> int:
        """The bundle's number, as it claims."""
        return int(self.bundle.rpartition("-")[2])


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as plain text."""

    code: str
    exit: int
    message: str
    expected: str | None = None
    found: str | None = None
    hint: str | None = None

    @classmethod
    def of(cls, error: AirliftError) -> "Fault":
        """Return what an error says."""
        return cls(error.code, error.exit_code, error.message, error.expected, error.found, error.hint)


class Verdict(StrEnum):
    """What became of a volume for good, until it changes."""

    done = "done"
    bad = "bad"


@dataclass(frozen=True, slots=True)
class Known:
    """A volume: since when (monotonic seconds), and for how many looks, it is as it is.

    ``claim`` or ``fault`` is what the reader said of it at ``surveyed``; None of both before.
    """

    sight: Sight
    since: float
    looks: int = 1
    claim: Claim | None = None
    fault: Fault | None = None
    surveyed: float = 0.0
    verdict: Verdict | None = None


class Kind(StrEnum):
    """How an import ended."""

    imported = "imported"
    incomplete = "incomplete"
    held = "held"
    suspect = "suspect"
    later = "later"
    busy = "busy"


@dataclass(frozen=True, slots=True)
class Tried:
    """The last import of a bundle: of which volumes, when, how it ended, and what the ledger was like afterwards.

    ``settled`` says that all of the volumes had settled.
    """

    given: frozenset[Sight]
    when: float
    kind: Kind
    mark: str
    settled: bool
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """All that is remembered between looks: volumes by name, and the last import by key of the bundle."""

    known: Mapping[str, Known] = field(default_factory=dict)
    tried: Mapping[str, Tried] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is decided: monotonic seconds, how the ledger is, and what is staged (first 64 hex digits)."""

    now: float
    mark: str = ""
    staged: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Condemn:
    """Put aside a volume that the reader refuses."""

    name: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class Try:
    """Import these volumes; with ``ask`` only if the plan has nothing against it, so that no refusal is recorded.

    ``settled`` says that all of them had settled.
    """

    key: str
    names: tuple[str, ...]
    ask: bool
    settled: bool


Step = Condemn | Try
