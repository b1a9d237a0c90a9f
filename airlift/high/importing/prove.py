"""Prove: everything about a bundle that can be proven without changing state, every chunk's digest included."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from airlift.errors import IncompleteError
from airlift.high.enclave.enclave import Enclave
from airlift.high.importing.plan import outcome
from airlift.high.importing.run import ImportResult
from airlift.high.verification.verified import VerifiedBundle
from airlift.high.verification.verify import verify
from airlift.progress import Progress, silent


def prove(
    enclave: Enclave, paths: Sequence[Path], now: datetime, *, progress: Progress = silent
) -> ImportResult:
    """Return what the bundle is after reading and verifying all of it; policy is not asked.

    Raises:
        ProvenBadError: something is not what was signed: exit 3.
        IncompleteError: what is there is good, and chunks are missing: exit 4; ``data`` lists them.
        AirliftError: as :func:`airlift.high.importing.plan.plan`.
    """
    state = enclave.state()
    verified = verify(enclave, paths, state, now)
    result = outcome(enclave, state, verified)
    _read_all(verified, progress)
    if result.missing:
        raise IncompleteError(
            f"{len(result.missing)} chunks are missing",
            expected=f"{result.volumes_total} volumes",
            found=f"{result.volumes_present} volumes; what is there is good",
            data={"missing": list(result.missing)},
        )
    return result


def _read_all(verified: VerifiedBundle, progress: Progress) -> None:
    total, done = sum(chunk.size for chunk in verified.bundle.chunks), 0
    for chunk in verified.bundle.chunks:
        if verified.chunk_paths[chunk.sha512]:
            verified.read_chunk(chunk)
        done += chunk.size
        progress("verifying", done, total)
