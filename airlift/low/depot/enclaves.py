"""Records of registered enclaves, one file each: its ledger's public key, and what it acknowledged (SPEC 11).

Nothing records an acknowledgement yet: the list is read, and empty in every depot that this version wrote.
"""

from dataclasses import dataclass

from airlift import files, strict
from airlift.bundle import fields
from airlift.bundle.fields import ENCLAVE_NAME
from airlift.bundle.manifest import ANY_ENCLAVE
from airlift.errors import MalformedError, NotHeldError, UsageError
from airlift.low.depot.depot import Depot

MAX_BYTES = 64 << 20

_KEYS = frozenset({"enclave", "enrolled", "ledger_key", "fingerprint", "acknowledged"})
_ACKNOWLEDGED = frozenset({"release", "sequence", "time", "known_by"})
KNOWN_BY = ("receipt", "operator")


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A release (digest, hex) that an enclave says it holds; ``known_by`` is receipt (signed) or operator."""

    release: str
    sequence: int
    time: str
    known_by: str


@dataclass(frozen=True, slots=True)
class EnclaveRecord:
    """A registered enclave: its ledger's public key (PEM) and fingerprint, and what it acknowledged, oldest first."""

    enclave: str
    enrolled: str
    ledger_key: str
    fingerprint: str
    acknowledged: tuple[Acknowledged, ...]


def check_name(enclave: str) -> str:
    """Return ``enclave`` if it can be the name of one.

    Raises:
        UsageError: it cannot.
    """
    if not ENCLAVE_NAME.match(enclave) or enclave == ANY_ENCLAVE:
        raise UsageError(
            f"not a name for an enclave: {enclave[:40]!a}",
            expected=f"1 to 24 of a-z 0-9 -, and not {ANY_ENCLAVE!r}",
        )
    return enclave


def names(depot: Depot) -> tuple[str, ...]:
    """Return the names of all enrolled enclaves, sorted."""
    with files.reading(depot.enclaves):
        return tuple(
            sorted(path.stem for path in depot.enclaves.glob("*.json") if ENCLAVE_NAME.match(path.stem))
        )


def load(depot: Depot, enclave: str) -> EnclaveRecord:
    """Return the record of an enclave.

    Raises:
        NotHeldError: it was never enrolled.
        MalformedError: the file is damaged.
    """
    path = depot.enclaves / f"{check_name(enclave)}.json"
    if not path.exists():
        raise NotHeldError(
            f"enclave {enclave} is not enrolled", hint=f"`airlift low enrol {enclave} --ledger-key PUB`"
        )
    what = f"enclaves/{enclave}.json"
    data = strict.parse(files.read_bounded(path, MAX_BYTES), limit=MAX_BYTES, what=what)
    document = fields.check_header(data, "depot-enclave", _KEYS, what)
    return EnclaveRecord(
        fields.name(document, "enclave", what, ENCLAVE_NAME),
        fields.time(document, "enrolled", what),
        strict.member(document, "ledger_key", str, what),
        fields.digest(document, "fingerprint", what, bits=384),
        tuple(_acknowledged(item, what) for item in strict.member(document, "acknowledged", list, what)),
    )


def save(depot: Depot, record: EnclaveRecord) -> None:
    """Write the record of an enclave."""
    document = {
        "airlift": fields.FORMAT,
        "type": "depot-enclave",
        "enclave": record.enclave,
        "enrolled": record.enrolled,
        "ledger_key": record.ledger_key,
        "fingerprint": record.fingerprint,
        "acknowledged": [
            {"release": item.release, "sequence": item.sequence, "time": item.time, "known_by": item.known_by}
            for item in record.acknowledged
        ],
    }
    files.write_durable(depot.enclaves / f"{record.enclave}.json", strict.format(document), mode=0o644)


def newest_acknowledged(depot: Depot, enclave: str) -> Acknowledged | None:
    """Return the newest release of this depot that an enclave acknowledged.

    None if the enclave is not registered, or acknowledged no release that this depot has.
    """
    if check_name(enclave) not in names(depot):
        return None
    held = {reference.digest for reference in depot.releases()}
    return next((item for item in reversed(load(depot, enclave).acknowledged) if item.release in held), None)


def _acknowledged(document: object, what: str) -> Acknowledged:
    entry = strict.only(document, _ACKNOWLEDGED, what)
    known_by = strict.member(entry, "known_by", str, what)
    if known_by not in KNOWN_BY:
        raise MalformedError(
            f"{what}: 'known_by' is unknown", expected=" or ".join(KNOWN_BY), found=ascii(known_by[:40])
        )
    return Acknowledged(
        fields.digest(entry, "release", what),
        fields.count(entry, "sequence", what),
        fields.time(entry, "time", what),
        known_by,
    )
