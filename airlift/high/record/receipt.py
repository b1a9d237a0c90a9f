"""Receipt: state what the enclave holds, signed with the ledger's key, to be kept elsewhere (SPEC 9.12)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from airlift.bundle import fields
from airlift.bundle.fields import Marking, format_time
from airlift.bundle.release import Release
from airlift.bundle.returns import code, sheet
from airlift.bundle.returns import receipt as receipts
from airlift.bundle.returns.code import ReceiptCode
from airlift.bundle.returns.receipt import Receipt
from airlift.bundle.returns.stated_ledger import START_DIGITS, StatedLedger
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave, Operator, release_ref
from airlift.high.record.new_file import check_new, write_new
from airlift.ledger.state import State
from airlift.trust.keys.public import PublicKey
from airlift.trust.statements import dsse
from airlift.trust.tuf import metadata


@dataclass(frozen=True, slots=True)
class ReceiptResult:
    """What was stated; ``receipt`` is the signed envelope, or ``code`` the lines of a code and ``sheet`` the paper.

    ``output`` is where it was written, if anywhere.
    """

    enclave: str
    issued: str
    active: str | None
    installed: tuple[str, ...]
    marking: Marking
    size: int
    root: str
    output: str | None
    receipt: str | None = None
    code: tuple[str, ...] | None = None
    sheet: str | None = None


def issue_receipt(enclave: Enclave, *, operator: Operator, output: Path | None = None) -> ReceiptResult:
    """Return a signed receipt, and write it to the new file ``output``; the enclave is not changed.

    Raises:
        ExistsError: ``output`` exists.
        LedgerError: the operator does not hold the ledger's key.
    """
    stated = enclave.look(lambda state: _state(enclave, state, operator.now, operator.signer.public))
    signed = dsse.format(dsse.sign(receipts.PAYLOAD_TYPE, receipts.format(stated), operator.signer))
    keep(output, signed)
    return replace(_result(stated, output), receipt=signed.decode())


def print_receipt(enclave: Enclave, *, now: datetime, output: Path | None = None) -> ReceiptResult:
    """Return the same as a code on a sheet of paper, which has no signature and needs no key.

    Raises:
        ExistsError: ``output`` exists.
    """
    stated = enclave.look(lambda state: _state(enclave, state, now, None))
    newest = stated.installed[-1] if stated.installed else None
    lines = code.format(
        ReceiptCode(
            key=enclave.state().enrolled().ledger_key[:START_DIGITS],
            size=stated.size,
            root=stated.root[:START_DIGITS],
            sequence=stated.sequence,
            release=newest.digest[:START_DIGITS] if newest else "",
        )
    )
    facts = (
        f"from enclave   {stated.enclave}",
        f"made           {stated.issued}",
        f"it holds       {newest.label if newest else 'no release'}",
        f"newest bundle  {stated.sequence or 'none'}",
        f"its ledger     {stated.size} entries",
    )
    text = sheet.render(stated.marking, "receipt", facts, lines)
    keep(output, text.encode())
    return replace(_result(stated, output), code=lines, sheet=text)


def keep(output: Path | None, data: bytes) -> None:
    """Write what goes back to the new file ``output``, if it was asked for.

    Raises:
        ExistsError: ``output`` exists.
    """
    if output is not None:
        check_new(output)
        write_new(output, data)


def newest_checkpoint(enclave: Enclave, key: PublicKey | None) -> StatedLedger:
    """Return the ledger's newest checkpoint, after checking that it is the ledger of ``key``, if one is given.

    Raises:
        LedgerError: it is not.
    """
    with enclave.ledger() as log:
        if key is not None:
            log.check_key(key)
        head, note = log.newest()
    return StatedLedger(note.decode(), head.size, head.root.hex())


def _result(stated: Receipt, output: Path | None) -> ReceiptResult:
    return ReceiptResult(
        enclave=stated.enclave,
        issued=stated.issued,
        active=stated.active.label if stated.active else None,
        installed=tuple(release.label for release in stated.installed),
        marking=stated.marking,
        size=stated.size,
        root=stated.root,
        output=str(output) if output is not None else None,
    )


def _state(enclave: Enclave, state: State, now: datetime, key: PublicKey | None) -> Receipt:
    ledger = newest_checkpoint(enclave, key)
    inside = enclave.registered()
    held = {digest: enclave.load_release(digest) for digest in state.installed if digest not in inside}
    named = {digest: release_ref(release) for digest, release in held.items()}
    newest = max(state.bundles, key=lambda bundle: bundle.sequence, default=None)
    sequence = newest.sequence if newest else 0
    trusted = _metadata_version(enclave, state)
    return Receipt(
        enclave=enclave.name,
        issued=format_time(now),
        active=named.get(inside.get(state.active or "", state.active or "")),
        previous=named.get(inside.get(state.previous or "", state.previous or "")),
        installed=tuple(named.values()),
        sequence=sequence,
        manifest=newest.manifest if newest else "",
        marking=highest_marking(held.values(), policy.load(enclave, state).levels),
        checkpoint=ledger.checkpoint,
        size=ledger.size,
        root=ledger.root,
        metadata=trusted if trusted > sequence else None,
        variants={item.release: item.held for item in state.variants if item.release in held},
    )


def _metadata_version(enclave: Enclave, state: State) -> int:
    """Return the version of the timestamp that the enclave trusts, 0 before the first import."""
    data = enclave.load_trust(state).get(metadata.NEWEST)
    return 0 if data is None else metadata.version_of(metadata.check(metadata.TIMESTAMP, data))


def highest_marking(releases: Iterable[Release], levels: tuple[str, ...]) -> Marking:
    """Return the marking of all these releases together (SPEC 5.6): none of them is revealed below its own.

    A level that policy does not list counts as the highest.
    """
    markings = [release.marking for release in releases]
    order = {level: number for number, level in enumerate(levels)}
    level = max((m.level for m in markings), key=lambda name: order.get(name, len(order)), default=levels[0])
    return Marking(level, fields.join_caveats(markings))
