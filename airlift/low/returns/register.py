"""Register an enclave: keep its name and its ledger's public key (SPEC 11)."""

from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from airlift.bundle.fields import format_time
from airlift.errors import ExistsError
from airlift.low.depot import enclaves
from airlift.low.depot.depot import Depot
from airlift.low.depot.enclaves import EnclaveRecord
from airlift.low.depot.events import record
from airlift.trust.keys.public import load_public


@dataclass(frozen=True, slots=True)
class RegisterResult:
    """The enclave and the fingerprint (SHA-384, hex) of its ledger's key; ``already`` if it was enrolled with it."""

    enclave: str
    fingerprint: str
    already: bool


def register(
    depot: Depot, enclave: str, *, ledger_key: Path, now: datetime, dry_run: bool = False
) -> RegisterResult:
    """Keep the public key file ``ledger_key`` as that of ``enclave``.

    Raises:
        UsageError: not a name for an enclave.
        ExistsError: it is enrolled with another key.
        KeyUnavailableError, MalformedError: the key cannot be used.
    """
    enclaves.check_name(enclave)
    key = load_public(ledger_key)
    with nullcontext() if dry_run else depot.lock():
        already = enclave in enclaves.names(depot)
        if already and enclaves.load(depot, enclave).fingerprint != key.fingerprint:
            raise ExistsError(
                f"enclave {enclave} is enrolled with another key",
                expected=enclaves.load(depot, enclave).fingerprint[:32],
                found=key.fingerprint[:32],
                hint=f"if its ledger was made anew, remove enclaves/{enclave}.json of the depot first",
            )
        if not (already or dry_run):
            enclaves.save(
                depot, EnclaveRecord(enclave, format_time(now), key.pem().decode(), key.fingerprint, ())
            )
            record(depot, now, "enrol", enclave=enclave, fingerprint=key.fingerprint)
    return RegisterResult(enclave, key.fingerprint, already)
