"""Request: say which chunks of a bundle are missing or damaged, so that only they are sent again (SPEC 9.14)."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from airlift.bundle import own, volume
from airlift.bundle.fields import FileDigest, Marking, format_time
from airlift.bundle.manifest import Bundle
from airlift.bundle.own import Own
from airlift.bundle.parity.stripe import lost_for_good
from airlift.bundle.returns import code, request, sheet
from airlift.bundle.returns.code import RequestCode
from airlift.bundle.returns.request import MAX_MISSING, Request
from airlift.bundle.returns.stated_ledger import START_DIGITS
from airlift.errors import (
    DigestError,
    IncompleteError,
    InventoryError,
    NotHeldError,
    UncheckedError,
    UsageError,
)
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.enclave.staged import load_manifest, staged_folders
from airlift.high.record.receipt import keep, newest_checkpoint
from airlift.high.verification.verify_bundle import verify_bundle
from airlift.ledger.state import State
from airlift.media.volume_reader import read_chunk
from airlift.progress import Progress, Tally, silent
from airlift.trust.statements import dsse

LEAST_DIGITS = 12

ReadChunk = Callable[[FileDigest], None]
"""Reads and verifies a chunk, wherever a copy of it is at hand; raises if there is no good one."""


@dataclass(frozen=True, slots=True)
class Lack:
    """What is lacking of a bundle: indices of its chunks. Of so many of these a copy is damaged, or unreadable.

    ``chunks`` says how many it should have here.
    """

    bundle: Bundle
    chunks: int
    missing: tuple[int, ...]
    damaged: int
    unreadable: int
    passed_over: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestResult:
    """What was asked for; ``request`` is the signed envelope, or ``code`` the lines of a code, ``sheet`` the paper.

    ``missing`` are SHA-512 of chunks, ``indices`` their places in the manifest; ``damaged`` and ``unreadable`` count
    those of which there are only copies of no use. ``output`` is where it was written, if anywhere.
    """

    enclave: str
    issued: str
    bundle: str
    sequence: int
    marking: Marking
    chunks: int
    missing: tuple[str, ...]
    indices: tuple[int, ...]
    missing_bytes: int
    damaged: int
    unreadable: int
    passed_over: tuple[Path, ...]
    output: str | None = None
    request: str | None = None
    code: tuple[str, ...] | None = None
    sheet: str | None = None


def find_lack(
    enclave: Enclave, named: str | None, paths: Sequence[Path], now: datetime, progress: Progress = silent
) -> Lack:
    """Return what is lacking of a bundle, given what is staged, and these volumes if there are any.

    ``named`` is its id, or 12 or more first digits of its digest; without volumes it is looked up in staging.

    Raises:
        NotHeldError: nothing of it is staged, and no volume was given.
        UsageError: nothing is missing, it was imported before, or the volumes are of another bundle.
        AirliftError: the volumes do not verify.
    """
    if paths:
        lack = _on_volumes(enclave, paths, now, progress)
    else:
        lack = enclave.look(lambda state: _staged(enclave, state, named or "", progress))
    if named is not None and not _is_named(lack.bundle, named):
        raise UsageError(
            "the volumes are of another bundle", expected=ascii(named[:60]), found=lack.bundle.id
        )
    if not lack.missing:
        raise UsageError(
            f"nothing is missing of bundle {lack.bundle.id}",
            hint="import it: `airlift high import VOLUME...`",
        )
    if len(lack.missing) > MAX_MISSING:
        raise UsageError(
            f"{len(lack.missing)} chunks are too many to be asked for one by one",
            expected=f"at most {MAX_MISSING}",
            hint="have all volumes sent again",
        )
    return lack


def issue_request(
    enclave: Enclave, lack: Lack, *, operator: Operator, output: Path | None = None
) -> RequestResult:
    """Return a signed request for what is lacking, and write it to the new file ``output``; nothing else changes.

    Raises:
        ExistsError: ``output`` exists.
        LedgerError: the operator does not hold the ledger's key.
    """
    stated = Request(
        enclave=enclave.name,
        issued=format_time(operator.now),
        sequence=lack.bundle.sequence,
        manifest=lack.bundle.digest,
        missing=lack.missing,
        marking=lack.bundle.marking,
        ledger=newest_checkpoint(enclave, operator.signer.public),
    )
    signed = dsse.format(dsse.sign(request.PAYLOAD_TYPE, request.format(stated), operator.signer))
    keep(output, signed)
    return replace(_result(enclave, lack, operator.now, output), request=signed.decode())


def print_request(
    enclave: Enclave, lack: Lack, *, now: datetime, output: Path | None = None
) -> RequestResult:
    """Return the same as a code on a sheet of paper, which has no signature and needs no key.

    Raises:
        ExistsError: ``output`` exists.
        UsageError: it would be too long to be typed.
    """
    bundle, result = lack.bundle, _result(enclave, lack, now, output)
    key = enclave.state().enrolled().ledger_key
    lines = code.format(
        RequestCode(key[:START_DIGITS], bundle.sequence, bundle.digest[:START_DIGITS], lack.missing)
    )
    facts = (
        f"from enclave   {enclave.name}",
        f"made           {result.issued}",
        f"of bundle      {bundle.id}, {len(lack.missing)} of {result.chunks} chunks are missing",
    )
    answer = f"airlift low recut {bundle.id} --request - --output DIR"
    text = sheet.render(bundle.marking, "request", facts, lines, answered_by=answer)
    keep(output, text.encode())
    return replace(result, code=lines, sheet=text)


def _result(enclave: Enclave, lack: Lack, now: datetime, output: Path | None) -> RequestResult:
    bundle = lack.bundle
    asked = [bundle.chunks[index] for index in lack.missing]
    return RequestResult(
        enclave=enclave.name,
        issued=format_time(now),
        bundle=bundle.id,
        sequence=bundle.sequence,
        marking=bundle.marking,
        chunks=lack.chunks,
        missing=tuple(chunk.sha512 for chunk in asked),
        indices=lack.missing,
        missing_bytes=sum(chunk.size for chunk in asked),
        damaged=lack.damaged,
        unreadable=lack.unreadable,
        passed_over=lack.passed_over,
        output=str(output) if output is not None else None,
    )


# -- what is lacking -----------------------------------------------------------------------------------------------


def _on_volumes(enclave: Enclave, paths: Sequence[Path], now: datetime, progress: Progress) -> Lack:
    verified = enclave.look(lambda state: verify_bundle(enclave, paths, state, now))
    if verified.trusted is None:
        raise _imported(verified.bundle)
    staged = enclave.staging_path(verified.digest) / volume.CHUNKS

    def read(chunk: FileDigest) -> None:
        verified.read_chunk(chunk, staged)

    return replace(_read_all(verified.own, read, progress), passed_over=verified.passed_over)


def _staged(enclave: Enclave, state: State, named: str, progress: Progress) -> Lack:
    found = [
        (folder, bundle)
        for folder in staged_folders(enclave)
        for bundle in [load_manifest(folder)]
        if bundle is not None and _is_named(bundle, named)
    ]
    if len(found) != 1:
        raise NotHeldError(
            f"nothing is staged of a bundle {named[:60]!a}" if not found else "the name is ambiguous",
            hint="give the volumes that are at hand: `airlift high request VOLUME...`",
        )
    folder, bundle = found[0]
    if state.committed(bundle.digest):
        raise _imported(bundle)

    def read(chunk: FileDigest) -> None:
        path = folder / volume.CHUNKS / volume.chunk_name(chunk.sha512)
        if not path.exists():
            raise IncompleteError("a chunk is missing", expected=path.name)
        read_chunk(path, chunk)

    return _read_all(own.insist(bundle, enclave.name), read, progress)


def _read_all(mine: Own, read: ReadChunk, progress: Progress) -> Lack:
    """Return the own chunks that are lost, after reading and digesting every copy: none that parity gives back."""
    bundle = mine.bundle
    readable = mine.readable()
    tally = Tally("verifying", sum(chunk.size for chunk in readable), progress)
    good, found, asked = (
        set[str](),
        Counter[type](),
        {chunk.sha512 for chunk in (*mine.chunks, *bundle.parity_chunks)},
    )
    for chunk in readable:
        try:
            read(chunk)
            good.add(chunk.sha512)
        except IncompleteError:
            pass
        except (DigestError, InventoryError, UncheckedError) as error:
            kind = UncheckedError if isinstance(error, UncheckedError) else DigestError
            found[kind] += chunk.sha512 in asked
        tally.add(chunk.size)
    lost = set(mine.only(lost_for_good(bundle.parity, bundle.chunks, good)))
    missing = tuple(index for index, chunk in enumerate(bundle.chunks) if chunk.sha512 in lost)
    return Lack(bundle, len(mine.chunks), missing, found[DigestError], found[UncheckedError])


def _is_named(bundle: Bundle, named: str) -> bool:
    return named == bundle.id or (len(named) >= LEAST_DIGITS and bundle.digest.startswith(named))


def _imported(bundle: Bundle) -> UsageError:
    return UsageError(
        f"bundle {bundle.id} was imported: nothing of it is missing", hint="see `airlift high status`"
    )
