"""Envelopes that must be signed by one key."""

from airlift.errors import SignatureError
from airlift.trust.keys.public import PublicKey
from airlift.trust.statements import dsse
from airlift.trust.statements.dsse import Envelope


def require_signature(envelope: Envelope, key: PublicKey) -> None:
    """Verify that a key signed.

    Raises:
        SignatureError: it did not, or a line that gives its id does not verify.
    """
    if not dsse.signed_by(envelope, [key], "envelope"):
        raise SignatureError("envelope is not signed by the expected key", expected=key.key_id[:16])
