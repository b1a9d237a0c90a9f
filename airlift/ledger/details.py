"""What an entry says, parsed when it is asked for (SPEC 9.2-6)."""

from collections.abc import Callable
from typing import Any, TypeVar

from airlift.errors import LedgerError, MalformedError
from airlift.ledger.entries.attestation import RecordedAttestation
from airlift.ledger.entries.imports import (
    ImportCommit,
    ImportedState,
    ImportedVariants,
    ImportPrepare,
    parse_file_digest,
)
from airlift.ledger.entries.kinds import BRINGING, DETAILS
from airlift.ledger.entries.shape import Detail, NamedComponent
from airlift.ledger.entry import Entry

_D = TypeVar("_D", bound=Detail)
_T = TypeVar("_T")


def read(entry: Entry, kind: type[_D]) -> _D:
    """Return what an entry says, which must be of the type of ``kind`` or of one below it.

    Raises:
        LedgerError: it is of another type, or does not say what its type must.
    """
    said = DETAILS[entry.type]
    if not issubclass(said, kind):
        raise LedgerError(f"entry {entry.index} is of type {entry.type}", expected=kind.__name__)
    return _parsed(entry, said.parse)


def attestations(entry: Entry) -> tuple[RecordedAttestation, ...]:
    """Return the attestations that an entry records, whichever type it is of; errors as of :func:`read`."""
    if entry.type == RecordedAttestation.TYPE:
        return (_parsed(entry, RecordedAttestation.parse),)
    return _parsed(entry, ImportCommit.parse_attestations) if entry.type == ImportCommit.TYPE else ()


def components(entry: Entry) -> tuple[NamedComponent, ...]:
    """Return the components of the release that an entry brought, if it brought one; errors as of :func:`read`."""
    return _parsed(entry, ImportCommit.parse_components) if entry.type in BRINGING else ()


def variants(entry: Entry) -> ImportedVariants | None:
    """Return what an import did about variants, None if there are none; errors as of :func:`read`."""
    about = entry.type == ImportCommit.TYPE and "variants" in entry.detail
    return read(entry, ImportCommit).variants if about else None


def imported_state(entry: Entry) -> ImportedState:
    """Return what an import changes in the state of an enclave; errors as of :func:`read`."""
    if entry.type != ImportCommit.TYPE:
        raise LedgerError(f"entry {entry.index} is of type {entry.type}", expected=ImportCommit.TYPE)
    return _parsed(entry, ImportedState.parse)


def bundle_manifest(entry: Entry) -> str | None:
    """Return the SHA-512 of the bundle that an import's entry is about, else None; errors as of :func:`read`."""
    about = entry.type in {ImportPrepare.TYPE, ImportCommit.TYPE}
    return _parsed(entry, ImportPrepare.parse_bundle_manifest) if about else None


def file_digest(entry: Entry) -> str | None:
    """Return which digest an import verified files with, None if it had none to verify; errors as of :func:`read`."""
    about = entry.type in {ImportPrepare.TYPE, ImportCommit.TYPE}
    return _parsed(entry, parse_file_digest) if about else None


def _parsed(entry: Entry, parse: Callable[[Any, str], _T]) -> _T:
    try:
        return parse(entry.detail, f"entry {entry.index} ({entry.type})")
    except MalformedError as error:
        raise LedgerError(error.message, expected=error.expected, found=error.found) from error
