"""What was served once and is kept in step by nobody: whoever looks is told if it was revoked since (SPEC 8.7-12)."""

from collections.abc import Iterator
from pathlib import Path

from airlift.high.enclave import revoked
from airlift.high.enclave.enclave import Enclave
from airlift.ledger import details
from airlift.ledger.entries.exports import Export, Unfollow
from airlift.ledger.entries.kinds import ENDS, SWITCHES
from airlift.ledger.state import State

BUCKET = "s3://"


def revoked_exports(enclave: Enclave, state: State) -> Iterator[tuple[str, str, str]]:
    """Yield what may still be served although it is revoked: where, which release, and what of it is revoked."""
    known = revoked.in_force(enclave, state) if state.revocations else None
    if known is None or not known.entries:
        return
    for output, digest in _standing(enclave):
        release = enclave.load_release(digest)
        for finding in revoked.findings(known, release)[:1]:
            yield output, release.label, finding.error().message


def _standing(enclave: Enclave) -> list[tuple[str, str]]:
    """Return where something was served that does not follow and is still there, and of which release (digest).

    In a bucket one release takes no other's place (SPEC 8.7-10).
    """
    found: dict[tuple[str, str], tuple[str, str]] = {}
    active: str | None = None
    with enclave.ledger() as log:
        for entry in log.entries(types=(Export.TYPE, Unfollow.TYPE, *ENDS)):
            if entry.type in ENDS:
                active = entry.release if entry.type in SWITCHES else None
                continue
            if entry.type == Export.TYPE:
                said = details.read(entry, Export)
                output, served = said.output, None if said.follow else entry.release
            else:
                output, served = details.read(entry, Unfollow).output, active
            place = (output, served if served and output.startswith(BUCKET) else "")
            if served is None:
                found.pop(place, None)
            else:
                found[place] = (output, served)
    return [standing for standing in found.values() if _is_there(standing[0])]


def _is_there(output: str) -> bool:
    """Say whether something stands there, or may; of a bucket nobody is asked."""
    if output.startswith(BUCKET):
        return True
    try:
        return Path(output).exists()
    except OSError:
        return True
