"""Receipt: state what the enclave holds, signed with the ledger's key, to be kept elsewhere (SPEC 9.12)."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from airlift.bundle.fields import Marking, format_time
from airlift.bundle.release import Release
from airlift.bundle.returns import receipt as receipts
from airlift.bundle.returns.receipt import Receipt
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave, Operator, release_ref
from airlift.high.record.new_file import check_new, write_new
from airlift.trust.statements import dsse


@dataclass(frozen=True, slots=True)
class ReceiptResult:
    """What was stated, and the signed envelope; ``output`` is where it was written, if anywhere."""

    enclave: str
    issued: str
    active: str | None
    installed: tuple[str, ...]
    marking: Marking
    size: int
    root: str
    output: str | None
    receipt: str


def issue_receipt(enclave: Enclave, *, operator: Operator, output: Path | None = None) -> ReceiptResult:
    """Return a signed receipt, and write it to the new file ``output``; the enclave is not changed.

    Raises:
        ExistsError: ``output`` exists.
        KeyUnavailableError: the operator does not hold the ledger's key.
    """
    if output is not None:
        check_new(output)
    stated = _state(enclave, operator)
    signed = dsse.format(dsse.sign(receipts.PAYLOAD_TYPE, receipts.format(stated), operator.signer))
    if output is not None:
        write_new(output, signed)
    return ReceiptResult(
        enclave=stated.enclave,
        issued=stated.issued,
        active=stated.active.label if stated.active else None,
        installed=tuple(release.label for release in stated.installed),
        marking=stated.marking,
        size=stated.size,
        root=stated.root,
        output=str(output) if output is not None else None,
        receipt=signed.decode(),
    )


def _state(enclave: Enclave, operator: Operator) -> Receipt:
    state = enclave.state()
    with enclave.ledger() as log, log.one_moment():
        log.check_key(operator.signer.public)
        head, note = log.head(), log.checkpoint()
    held = {digest: enclave.load_release(digest) for digest in state.installed}
    named = {digest: release_ref(release) for digest, release in held.items()}
    newest = max(state.bundles, key=lambda bundle: bundle.sequence, default=None)
    return Receipt(
        enclave=enclave.name,
        issued=format_time(operator.now),
        active=named.get(state.active or ""),
        previous=named.get(state.previous or ""),
        installed=tuple(named.values()),
        sequence=newest.sequence if newest else 0,
        manifest=newest.manifest if newest else "",
        marking=highest_marking(held.values(), policy.load(enclave, state).levels),
        checkpoint=note.decode(),
        size=head.size,
        root=head.root.hex(),
    )


def highest_marking(releases: Iterable[Release], levels: tuple[str, ...]) -> Marking:
    """Return the marking of all these releases together: the highest level, and every caveat.

    A level that policy does not list counts as the highest.
    """
    markings = [release.marking for release in releases]
    order = {level: number for number, level in enumerate(levels)}
    level = max((m.level for m in markings), key=lambda name: order.get(name, len(order)), default=levels[0])
    return Marking(level, tuple(sorted({caveat for m in markings for caveat in m.caveats})))
