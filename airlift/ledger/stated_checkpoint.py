"""The checkpoint that a receipt or a request states: the ledger's key signed it, and it says the same (SPEC 9.12)."""

from airlift.bundle.returns.stated_ledger import StatedLedger
from airlift.errors import LedgerError
from airlift.ledger import checkpoint
from airlift.ledger.checkpoint import Checkpoint
from airlift.trust.keys.public import PublicKey


def verify_stated(ledger: StatedLedger, enclave: str, key: PublicKey) -> Checkpoint:
    """Verify what ``enclave``, whose ledger has this key, states of its ledger.

    Raises:
        SignatureError, MalformedError: the checkpoint is none of this ledger's.
        LedgerError: it says something else than what it goes with.
    """
    found = checkpoint.verify(ledger.checkpoint.encode(), checkpoint.origin_of(enclave), key)
    if (found.size, found.root.hex()) != (ledger.size, ledger.root):
        raise LedgerError(
            "this contradicts its own checkpoint",
            expected=f"{found.size} entries, root {found.root.hex()[:16]}...",
            found=f"{ledger.size} entries, root {ledger.root[:16]}...",
        )
    return found
