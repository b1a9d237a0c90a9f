"""What a bundle is to be, before anything of it is made: as an operator asks for it, and looked up (SPEC L4)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from airlift.bundle.component.variant import Rule
from airlift.bundle.fields import Marking
from airlift.bundle.media_sizes import Medium
from airlift.bundle.parity.layout import Redundancy
from airlift.bundle.release import Release
from airlift.codec import Effort
from airlift.low.bundle.planning.receivers import Receiver
from airlift.trust.keys.public import Signer


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a bundle goes: the folder for its volumes, the enclave (None: any), and what the volumes must fit.

    ``redundancy`` is how much parity goes along, None without. ``several`` are enclaves, two or more, in the place of
    one.
    """

    output: Path
    enclave: str | None = None
    medium: Medium = field(default_factory=Medium)
    redundancy: Redundancy | None = None
    several: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Coding:
    """How blocks are coded: on how many threads, how hard, and whether each is decoded again (``check``).

    ``digest`` says whether targets are digested, unless that was done lately.
    """

    workers: int = 2
    check: bool = True
    effort: Effort = Effort.NORMAL
    digest: bool = True


@dataclass(frozen=True, slots=True)
class Joined:
    """A folder with what others coded apart, to be joined (SPEC L4.21).

    ``of`` says into how many parts the plan was cut, None: as what is there says. ``command`` is the command line
    that makes one of them, but for its number.
    """

    folder: Path
    of: int | None = None
    command: str = "airlift low bundle"


@dataclass(frozen=True, slots=True)
class BundleRequest:
    """A release to bundle, by name or digest, for whoever holds ``from_``.

    ``from_`` is a release, ``none``, or None for what the enclave of the destination acknowledged. ``explain`` asks
    what took the bytes. ``variants`` are rules that choose which variants go along; without any it is those that the
    enclave of the destination is known to choose by. ``each_from`` says what ``from_`` does, of each of several. With
    ``joined`` the blocks are those that others coded.
    """

    release: str
    destination: Destination
    from_: str | None = None
    coding: Coding = field(default_factory=Coding)
    explain: bool = False
    variants: tuple[Rule, ...] = ()
    each_from: Mapping[str, str] = field(default_factory=dict)
    joined: Joined | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a bundle is about: the release and its baseline, and of both what goes along, or counts as held.

    ``known_by`` says who said that the baseline is held. With ``receivers`` all that is said of the baseline is
    theirs, and ``known_by`` is None.
    """

    target: Release
    baseline: Release | None
    known_by: str | None
    part: Release
    held: Release | None
    receivers: tuple[Receiver, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """A bundle to make: from which release to which, where to, signed by whom, and when.

    ``part`` is the target with the variants that go along, None for all of them; ``held`` the baseline with those
    that count as held.

    ``known_by`` says who said that the baseline is held; ``effort`` is empty if nothing is coded. ``receivers`` are
    several enclaves that it is for: then all that is said of the baseline is theirs, and ``known_by`` is None.
    """

    target: Release | None
    baseline: Release | None
    known_by: str | None
    marking: Marking
    destination: Destination
    signer: Signer
    now: datetime
    effort: str = ""
    part: Release | None = None
    held: Release | None = None
    receivers: tuple[Receiver, ...] = ()

    @property
    def baselines(self) -> tuple[Release, ...]:
        """The releases that somebody starts from."""
        found = [self.baseline, *(one.baseline for one in self.receivers)]
        return tuple(item for item in found if item is not None)

    @property
    def carried(self) -> Release | None:
        """The target as it goes along: ``part``, or all of it."""
        return self.part or self.target
