"""What an import would change, and what it would take: room and time (SPEC 7.11)."""

import hashlib
import time
from dataclasses import dataclass, field

from airlift import files
from airlift.high.enclave.enclave import Enclave
from airlift.high.governance import gate, revocation
from airlift.high.importing.install import needed_files
from airlift.high.importing.reserve import SPACE_MARGIN
from airlift.high.verification.verified import VerifiedBundle
from airlift.ledger.state import State

TRIAL_BYTES = 4 << 20
OF_DIGEST = 0.5
"""How fast an import is, of the speed at which it digests: measured (docs/benchmarks)."""
START_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Expectation:
    """What an import would change: names of releases, None for none; and what it would take.

    ``replaces`` is what is active now and would be no more; ``removes`` is always empty: only `gc` removes releases.
    ``revokes`` counts the revocations that are new here. ``needed`` and ``free`` are bytes, ``seconds`` is a guess
    from how fast this machine digests.
    """

    installs: str | None
    activates: str | None
    replaces: str | None
    removes: tuple[str, ...]
    revokes: int
    needed: int
    free: int = field(compare=False)
    seconds: int = field(compare=False)


def expect(enclave: Enclave, state: State, verified: VerifiedBundle, *, activate: bool) -> Expectation:
    """Return what importing a verified bundle, and activating its release, would change and take."""
    release, needed = verified.release, needed_files(enclave, verified)
    new = release is not None and release.digest not in state.installed
    switches = activate and release is not None and not gate.is_active(enclave, state, release)
    active = enclave.load_release(state.active).label if state.active and switches else None
    return Expectation(
        installs=release.label if release is not None and new else None,
        activates=release.label if release is not None and switches else None,
        replaces=active,
        removes=(),
        revokes=len(revocation.news(enclave, state, verified)),
        needed=sum(files.in_blocks(item.size) for item in needed) + SPACE_MARGIN,
        free=files.free_bytes(enclave.folder),
        seconds=_seconds(sum(item.size for item in (*needed, *verified.own.chunks))),
    )


def _seconds(size: int) -> int:
    """Return about how long it takes to digest and write so many bytes here."""
    data = bytes(TRIAL_BYTES)
    began = time.perf_counter()
    hashlib.sha512(data).digest()
    speed = OF_DIGEST * TRIAL_BYTES / max(time.perf_counter() - began, 1e-6)
    return round(START_SECONDS + size / speed)
