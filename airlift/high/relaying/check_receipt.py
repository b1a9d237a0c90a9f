"""Check a sub-enclave's receipt, and say what it holds by that (SPEC 7.12-6)."""

from airlift.bundle.manifest import Bundle
from airlift.bundle.returns import receipt
from airlift.bundle.returns.receipt import Receipt
from airlift.errors import LedgerError, MalformedError, SignatureError
from airlift.ledger.stated_checkpoint import verify_stated
from airlift.trust.keys.public import PublicKey
from airlift.trust.statements import dsse

MAX_BYTES = 8 << 20
"""Of a receipt's envelope (SPEC 9.12)."""


def check_receipt(data: bytes, name: str, key: PublicKey) -> Receipt:
    """Return what a receipt of the sub-enclave ``name`` states, whose ledger has this key.

    Raises:
        SignatureError: that key did not sign it.
        LedgerError: it is of another enclave, or contradicts its own checkpoint.
        MalformedError: it is no receipt.
    """
    envelope = dsse.parse(data, limit=MAX_BYTES)
    if not list(dsse.signed_by(envelope, [key])):
        raise SignatureError(
            "the receipt is not signed by the key that policy gives for this sub-enclave",
            expected=f"{name} {key.fingerprint[:16]}",
            hint="ask the sub-enclave for a new one: `airlift high receipt --output FILE`",
        )
    if envelope.payload_type != receipt.PAYLOAD_TYPE:
        raise MalformedError("this is no receipt", found=ascii(envelope.payload_type[:80]))
    stated = receipt.parse(envelope.payload)
    if stated.enclave != name:
        raise LedgerError("the receipt is of another enclave", expected=name, found=stated.enclave)
    verify_stated(stated.ledger, name, key)
    return stated


def holds(stated: Receipt, bundle: Bundle) -> bool:
    """Say whether whoever states this needs a bundle no more: it is not newer, and its release is installed."""
    installed = {release.digest for release in stated.installed}
    return bundle.sequence <= stated.sequence and (bundle.target is None or bundle.target.digest in installed)
