"""What a bundle is to be, before anything of it is made (SPEC L4)."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from airlift.bundle.fields import Marking
from airlift.bundle.media_sizes import Medium
from airlift.bundle.release import Release
from airlift.trust.keys.public import Signer


@dataclass(frozen=True, slots=True)
class Job:
    """What a bundle is to be: from where to where, for whom, on what, signed by whom, and when."""

    target: Release | None
    baseline: Release | None
    known_by: str
    enclave: str | None
    marking: Marking
    output: Path
    medium: Medium
    signer: Signer
    now: datetime
    effort: str = ""
