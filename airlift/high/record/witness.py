"""Witness: somebody else than the enclave countersigns the newest checkpoint of its ledger (SPEC 9.10)."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from airlift.errors import UsageError
from airlift.high.enclave.enclave import Enclave
from airlift.high.record.new_file import check_new, write_new
from airlift.high.record.verify_ledger import read_kept
from airlift.ledger import note
from airlift.ledger.log import Log
from airlift.trust.keys.public import PublicKey, Signer


@dataclass(frozen=True, slots=True)
class WitnessResult:
    """What a witness signed: ``size`` entries with ``root``; ``held_against`` is the size of its own last checkpoint.

    ``held_against`` is None for a witness that had signed nothing before.
    """

    witness: str
    size: int
    root: str
    held_against: int | None
    already: bool
    note: str


def countersign(
    enclave: Enclave,
    *,
    signer: Signer,
    name: str,
    kept: Sequence[Path] = (),
    output: Path | None = None,
    dry_run: bool = False,
) -> WitnessResult:
    """Countersign the newest checkpoint, after checking that the ledger still holds all that the witness saw before.

    Raises:
        LedgerError: the ledger was cut or rewritten since.
        UsageError: the key is the ledger's own.
        ExistsError: ``output`` exists.
    """
    if output is not None:
        check_new(output)
    with nullcontext() if dry_run else enclave.lock(), enclave.ledger(writable=not dry_run) as log:
        if signer.public == log.public:
            raise UsageError("the ledger's own key is no witness", hint="use a key that somebody else holds")
        before = [
            _last_signed(log, signer.public),
            *(log.check_kept(read_kept(p), str(p)).size for p in kept),
        ]
        sizes = [size for size in before if size is not None]
        head, newest = log.newest()
        already = bool(note.signed_by(note.parse(newest), signer.public))
        signed = newest if dry_run else log.countersign(name, signer)
    if output is not None and not dry_run:
        write_new(output, signed)
    return WitnessResult(name, head.size, head.root.hex(), max(sizes, default=None), already, signed.decode())


def _last_signed(log: Log, key: PublicKey) -> int | None:
    """Check the newest checkpoint in the ledger that a witness signed; return its size."""
    for data in reversed(list(log.checkpoints())):
        if note.signed_by(note.parse(data), key):
            return log.check_kept(data, "the witness's last checkpoint").size
    return None
