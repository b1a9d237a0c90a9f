"""Take in what came back: record what an enclave holds, and hold what it asks for against its bundle (SPEC L6)."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from airlift.bundle import own
from airlift.bundle.fields import Marking, format_time
from airlift.bundle.manifest import Bundle
from airlift.bundle.returns.code import ReceiptCode, RequestCode
from airlift.bundle.returns.receipt import Receipt
from airlift.bundle.returns.request import Request, asked_chunks
from airlift.errors import NotHeldError, WrongEnclaveError
from airlift.low.depot import enclaves, outstanding
from airlift.low.depot.depot import Depot
from airlift.low.depot.enclaves import OPERATOR, RECEIPT, Acknowledged, EnclaveRecord, Newest, Word
from airlift.low.depot.events import record
from airlift.low.returns.check_newer import ASK_AGAIN, check_newer, check_newer_word
from airlift.low.returns.raise_counter import raise_counter, warn_behind
from airlift.low.returns.recognise import SignedReturn, TypedReturn, recognise


@dataclass(frozen=True, slots=True)
class ReturnResult:
    """What came back: ``kind`` is receipt or request, ``known_by`` receipt if it was signed, operator if typed.

    ``issued`` and ``marking`` are what a signed one says; ``size`` and ``root`` (hex; of a code its start) those of
    the ledger that it is about, if it says so. ``holds`` are the releases of this depot that the enclave is now known
    to hold, by name, oldest first. ``bundle``, ``missing`` (indices of chunks) and ``missing_bytes`` are what a
    request asks for. ``counter`` is set if the sequence numbers up to it are now used up.
    """

    kind: str
    enclave: str
    known_by: str
    already: bool = False
    issued: str | None = None
    marking: Marking | None = None
    size: int | None = None
    root: str | None = None
    holds: tuple[str, ...] = ()
    counter: int | None = None
    bundle: str | None = None
    missing: tuple[int, ...] = ()
    missing_bytes: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Taken:
    """What taking something in comes to: the record as it is then, the answer, and particulars for the log."""

    record: EnclaveRecord
    result: ReturnResult
    detail: Mapping[str, Any] = field(default_factory=dict)


def import_return(depot: Depot, data: bytes, *, now: datetime, dry_run: bool = False) -> ReturnResult:
    """Take in a signed receipt or request (bytes of a file), or a typed code (ASCII).

    Raises:
        ProvenBadError: forged, mistyped, older than what is known, or in contradiction to it (SPEC L6.1, L6.2).
        NotHeldError: it is about a release or bundle that this depot does not have.
        WrongEnclaveError: a request for another enclave's bundle.
    """
    with nullcontext() if dry_run else depot.lock():
        found = recognise(depot, data)
        taken = _take(depot, found, now)
        already = taken.record == found.record and not taken.result.bundle
        result = replace(taken.result, already=already, holds=_holds(depot, taken.record))
        if not (dry_run or already):
            enclaves.save(depot, taken.record)
            said = {
                "enclave": result.enclave,
                "known_by": result.known_by,
                "size": result.size,
                **taken.detail,
            }
            record(
                depot, now, result.kind, **{key: value for key, value in said.items() if value is not None}
            )
    return result


def _take(depot: Depot, found: SignedReturn | TypedReturn, now: datetime) -> _Taken:
    if isinstance(found, SignedReturn):
        return _take_signed(depot, found)
    return _take_typed(depot, found, now)


def _take_signed(depot: Depot, found: SignedReturn) -> _Taken:
    before, stated, ledger = found.record, found.stated, found.checkpoint
    check_newer(before, ledger.size, ledger.root.hex())
    result = ReturnResult(
        "receipt" if isinstance(stated, Receipt) else "request",
        before.enclave,
        RECEIPT,
        issued=stated.issued,
        marking=stated.marking,
        size=ledger.size,
        root=ledger.root.hex(),
    )
    newest = before.newest or Newest(stated.ledger.checkpoint)
    if isinstance(stated, Request):
        kept = replace(newest, checkpoint=stated.ledger.checkpoint)
        return _take_request(depot, replace(before, newest=kept), stated, result)
    if newest.receipt == ledger.size:
        return _Taken(before, result)
    counter, warnings = raise_counter(depot, stated)
    newest = Newest(stated.ledger.checkpoint, ledger.size, stated.sequence, counter or newest.counter)
    after = replace(before, acknowledged=tuple(_acknowledged(before, stated)), newest=newest, word=None)
    told = replace(result, counter=counter, warnings=warnings)
    return _Taken(after, told, {"installed": [item.label for item in stated.installed], "counter": counter})


def _acknowledged(before: EnclaveRecord, stated: Receipt) -> Iterator[Acknowledged]:
    """Yield what a receipt lists, oldest first; what was known by receipt stays as recorded, but for its variants."""
    known = {item.release: item for item in before.acknowledged if item.known_by == RECEIPT}
    for release in stated.installed:
        new = Acknowledged(release.digest, stated.sequence, stated.issued, RECEIPT)
        yield replace(known.get(release.digest, new), variants=stated.variants.get(release.digest))


def _take_typed(depot: Depot, found: TypedReturn, now: datetime) -> _Taken:
    before, said = found.record, found.said
    if isinstance(said, RequestCode):
        return _take_request(depot, before, said, ReturnResult("request", before.enclave, OPERATOR))
    result = ReturnResult("receipt", before.enclave, OPERATOR, size=said.size, root=said.root)
    check_newer(before, said.size, said.root)
    if before.newest and before.newest.receipt == said.size:
        return _Taken(before, result)
    check_newer_word(before, said.size, said.root)
    acknowledged = (*before.acknowledged, *_typed_release(depot, before, said, now))
    after = replace(before, acknowledged=acknowledged, word=Word(said.size, said.root))
    return _Taken(after, replace(result, warnings=warn_behind(depot, said.sequence)))


def _typed_release(
    depot: Depot, before: EnclaveRecord, said: ReceiptCode, now: datetime
) -> tuple[Acknowledged, ...]:
    """Return the release that a code says is held, unless that is known.

    Raises:
        NotHeldError: it is none of this depot's, or one of several.
    """
    if not said.release or any(item.release.startswith(said.release) for item in before.acknowledged):
        return ()
    matches = [item for item in depot.releases() if item.digest.startswith(said.release)]
    if len(matches) != 1:
        raise NotHeldError(
            "the code names a release that this depot does not have, or several",
            found=f"digest {said.release}...",
            hint="carry the signed receipt instead: `airlift high receipt --output FILE`",
        )
    return (Acknowledged(matches[0].digest, said.sequence, format_time(now), OPERATOR),)


def _take_request(
    depot: Depot, after: EnclaveRecord, stated: Request | RequestCode, result: ReturnResult
) -> _Taken:
    bundle = _find_bundle(depot, stated.sequence)
    mine = own.of(bundle, after.enclave) if bundle.is_for(after.enclave) else None
    if mine is None:
        raise WrongEnclaveError(
            f"{after.enclave} asks for a bundle of another enclave",
            expected=f"a bundle for {after.enclave}",
            found=bundle.id,
            hint=ASK_AGAIN,
        )
    size = sum(chunk.size for chunk in asked_chunks(stated, mine))
    told = replace(result, bundle=bundle.id, missing=stated.missing, missing_bytes=size)
    return _Taken(after, told, {"bundle": bundle.id, "missing": len(stated.missing)})


def _find_bundle(depot: Depot, sequence: int) -> Bundle:
    for item in outstanding.load(depot):
        if item.bundle.sequence == sequence:
            return item.bundle
    raise NotHeldError(
        f"no bundle with the number {sequence} is outstanding", hint="see what is: `airlift low list`"
    )


def _holds(depot: Depot, after: EnclaveRecord) -> tuple[str, ...]:
    """Return the names of the releases of this depot that an enclave is known to hold."""
    labels = {item.digest: item.label for item in depot.releases()}
    return tuple(labels[item.release] for item in after.acknowledged if item.release in labels)
