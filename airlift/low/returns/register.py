"""Register an enclave: keep its name and its ledger's public key (SPEC 11)."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from airlift.bundle.component.variant import Rule
from airlift.bundle.fields import Marking, format_time
from airlift.errors import ExistsError
from airlift.low.depot import enclaves
from airlift.low.depot.depot import Depot
from airlift.low.depot.enclaves import EnclaveRecord
from airlift.low.depot.events import record
from airlift.trust.keys.public import load_public


@dataclass(frozen=True, slots=True)
class RegisterResult:
    """The enclave and the fingerprint (SHA-384, hex) of its ledger's key; ``already`` if it was enrolled so.

    ``ceiling`` is up to what marking it may hold, None if nobody said; ``variants`` are the rules that its policy is
    known to choose by.
    """

    enclave: str
    fingerprint: str
    already: bool
    ceiling: Marking | None = None
    variants: tuple[str, ...] = ()


def register(
    depot: Depot,
    enclave: str,
    *,
    ledger_key: Path,
    now: datetime,
    ceiling: Marking | None = None,
    variants: Sequence[Rule] = (),
    dry_run: bool = False,
) -> RegisterResult:
    """Keep the public key file ``ledger_key`` as that of ``enclave``, and up to what marking it may hold.

    ``variants`` are the rules that its policy chooses by. Without ``ceiling``, or these, what is known of them stays
    as it is.

    Raises:
        UsageError: not a name for an enclave.
        ExistsError: it is enrolled with another key.
        KeyUnavailableError, MalformedError: the key cannot be used.
    """
    enclaves.check_name(enclave)
    key = load_public(ledger_key)
    with nullcontext() if dry_run else depot.lock():
        known = enclaves.load(depot, enclave) if enclave in enclaves.names(depot) else None
        if known is not None and known.fingerprint != key.fingerprint:
            raise ExistsError(
                f"enclave {enclave} is enrolled with another key",
                expected=known.fingerprint[:32],
                found=key.fingerprint[:32],
                hint=f"if its ledger was made anew, remove enclaves/{enclave}.json of the depot first",
            )
        new = known or EnclaveRecord(enclave, format_time(now), key.pem().decode(), key.fingerprint, ())
        new = replace(new, ceiling=ceiling or new.ceiling, variants=tuple(variants) or new.variants)
        told = tuple(map(str, new.variants))
        if new != known and not dry_run:
            enclaves.save(depot, new)
            stated: dict[str, object] = {"ceiling": str(new.ceiling)} if new.ceiling else {}
            stated |= {"variants": list(told)} if told else {}
            record(depot, now, "enrol", enclave=enclave, fingerprint=key.fingerprint, **stated)
    return RegisterResult(enclave, key.fingerprint, new == known, new.ceiling, told)
