"""Check that what came back is not older than what is known of its enclave (SPEC L6.2). Times decide nothing."""

from airlift.bundle.returns.stated_ledger import START_DIGITS
from airlift.errors import LedgerError, ReplayError
from airlift.ledger import checkpoint, note
from airlift.ledger.checkpoint import Checkpoint
from airlift.low.depot.enclaves import EnclaveRecord, Newest

ASK_AGAIN = "ask the high side for a new one: `airlift high receipt`, `airlift high request`"


def head_of(newest: Newest) -> Checkpoint:
    """Return what the newest checkpoint of an enclave says; its signature was verified when it came."""
    return checkpoint.parse(note.parse(newest.checkpoint.encode()).text)


def check_newer(before: EnclaveRecord, size: int, root: str) -> None:
    """Check what says of its ledger that it has ``size`` entries and ``root`` (hex, or the start of it).

    Raises:
        ReplayError: it is older than the newest signed checkpoint of the enclave.
        LedgerError: it is as old, and has another root.
    """
    if before.newest is not None:
        kept = head_of(before.newest)
        _check(kept.size, kept.root.hex(), size, root)


def check_newer_word(before: EnclaveRecord, size: int, root: str) -> None:
    """Refuse what is older than the newest typed receipt, or contradicts it: errors as :func:`check_newer`."""
    if before.word is not None:
        _check(before.word.size, before.word.root, size, root)


def _check(kept_size: int, kept_root: str, size: int, root: str) -> None:
    if size < kept_size:
        raise ReplayError(
            "this is older than what is known of the enclave",
            expected=f"a ledger of {kept_size} entries or more",
            found=f"{size} entries",
            hint=ASK_AGAIN,
        )
    if size == kept_size and not kept_root.startswith(root):
        raise LedgerError(
            "this contradicts the checkpoint that was kept: the enclave's ledger was rewritten, or this is forged",
            expected=f"{size} entries with root {kept_root[:START_DIGITS]}...",
            found=f"root {root[:START_DIGITS]}...",
        )
