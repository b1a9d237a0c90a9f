"""Copies of the ledger to be kept elsewhere: a checkpoint, the database, or all of it, to be verified alone."""

from dataclasses import dataclass
from pathlib import Path

from airlift import files
from airlift.high.enclave.enclave import Enclave
from airlift.high.record.new_file import check_new, write_new
from airlift.ledger import export


@dataclass(frozen=True, slots=True)
class CopyResult:
    """What was written where: how many entries it covers, and the root."""

    output: str
    size: int
    root: str


def copy_checkpoint(enclave: Enclave, output: Path) -> CopyResult:
    """Write the newest checkpoint, to be kept where nobody who can change the ledger can change it.

    Raises:
        ExistsError: ``output`` exists.
    """
    check_new(output)
    with enclave.ledger() as log:
        head, data = log.newest()
    write_new(output, data)
    return CopyResult(str(output), head.size, head.root.hex())


def back_up_ledger(enclave: Enclave, output: Path) -> CopyResult:
    """Write a copy of the ledger's database as of one instant, whole or not at all; writers wait meanwhile.

    Raises:
        ExistsError: ``output`` exists.
        StorageError: it cannot be written.
    """
    check_new(output)
    with enclave.ledger() as log, log.one_moment():
        head, offset = log.head(), 0
        with files.writer(output, mode=0o600, replace=False) as target, files.opened(log.path) as source:
            while data := files.read_at(source, offset, files.COPY_BYTES):
                target.write(data)
                offset += len(data)
    return CopyResult(str(output), head.size, head.root.hex())


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What was written where, and the fingerprint of the key that verifies it."""

    output: str
    entries: int
    checkpoints: int
    fingerprint: str


def export_ledger(enclave: Enclave, output: Path) -> ExportResult:
    """Write the whole ledger into one file that an assessor verifies with a public key alone.

    Raises:
        ExistsError: ``output`` exists.
    """
    with enclave.ledger() as log:
        header = export.write(log, output)
    return ExportResult(str(output), header.entries, header.checkpoints, header.public.fingerprint)
