"""Recognise what came back: whose it is, and what it says, once that is verified (SPEC L6.1)."""

from collections.abc import Callable
from dataclasses import dataclass

from airlift.bundle.returns import code, receipt, request
from airlift.bundle.returns.code import Code
from airlift.bundle.returns.receipt import Receipt
from airlift.bundle.returns.request import Request
from airlift.errors import LedgerError, MalformedError, SignatureError
from airlift.ledger.checkpoint import Checkpoint
from airlift.ledger.stated_checkpoint import verify_stated
from airlift.low.depot import enclaves
from airlift.low.depot.depot import Depot
from airlift.low.depot.enclaves import EnclaveRecord
from airlift.trust.keys.public import PublicKey
from airlift.trust.statements import dsse

MAX_BYTES = 8 << 20
"""Of what comes back, in whatever form."""

_ENROL = "enrol the enclave with its ledger's key: `airlift low enrol ENCLAVE --ledger-key PUB`"


@dataclass(frozen=True, slots=True)
class SignedReturn:
    """What an enrolled enclave signed, and its checkpoint, both verified."""

    record: EnclaveRecord
    stated: Receipt | Request
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class TypedReturn:
    """What somebody typed, and the enrolled enclave that it names by its key. Nothing of it is proven."""

    record: EnclaveRecord
    said: Code


def recognise(depot: Depot, data: bytes) -> SignedReturn | TypedReturn:
    """Return what came back: a signed envelope if it begins with ``{``, else a typed code.

    Raises:
        SignatureError: no enrolled enclave signed it, or a code names a key that none has.
        LedgerError: it is of another enclave than its key's, or contradicts its own checkpoint.
        MistypedError, MalformedError: it is neither, or damaged.
        FormatTooNewError: made by a newer airlift.
    """
    if len(data) > MAX_BYTES:
        raise MalformedError("this is too long for what comes back", expected=f"at most {MAX_BYTES} bytes")
    records = [enclaves.load(depot, name) for name in enclaves.names(depot)]
    if data.lstrip()[:1] == b"{":
        return _signed(records, data)
    try:
        return _typed(records, data.decode("ascii"))
    except UnicodeDecodeError as error:
        raise MalformedError(
            "this is neither a signed file nor a code", found="bytes beyond ASCII"
        ) from error


def _signed(records: list[EnclaveRecord], data: bytes) -> SignedReturn:
    envelope = dsse.parse(data, limit=MAX_BYTES)
    keys = {record.enclave: _key(record) for record in records}
    signed = {key.key_id for key in dsse.signed_by(envelope, keys.values())}
    ours = [record for record in records if keys[record.enclave].key_id in signed]
    if not ours:
        raise SignatureError(
            "no enclave that is enrolled signed this",
            expected=", ".join(f"{name} {key.fingerprint[:16]}" for name, key in keys.items())
            or "none is enrolled",
            hint=_ENROL,
        )
    parse = _PARSERS.get(envelope.payload_type)
    if parse is None:
        raise MalformedError(
            "this is neither a receipt nor a request", found=ascii(envelope.payload_type[:80])
        )
    stated = parse(envelope.payload)
    for record in ours:
        if record.enclave == stated.enclave:
            found = verify_stated(stated.ledger, record.enclave, keys[record.enclave])
            return SignedReturn(record, stated, found)
    raise LedgerError(
        "this is signed with the key of another enclave than it names",
        expected=" or ".join(record.enclave for record in ours),
        found=stated.enclave,
    )


_PARSERS: dict[str, Callable[[bytes], Receipt | Request]] = {
    receipt.PAYLOAD_TYPE: receipt.parse,
    request.PAYLOAD_TYPE: request.parse,
}


def _typed(records: list[EnclaveRecord], text: str) -> TypedReturn:
    said = code.parse(text)
    ours = [record for record in records if record.fingerprint.startswith(said.key)]
    if len(ours) != 1:
        raise SignatureError(
            "the code is of no enclave that is enrolled"
            if not ours
            else "several enclaves have the code's key",
            expected=", ".join(f"{record.enclave} {record.fingerprint[:10]}" for record in records)
            or "none is enrolled",
            found=said.key,
            hint=_ENROL if not ours else "carry the signed file instead",
        )
    return TypedReturn(ours[0], said)


def _key(record: EnclaveRecord) -> PublicKey:
    return PublicKey.from_pem(record.ledger_key.encode(), f"the ledger's key of {record.enclave}")
