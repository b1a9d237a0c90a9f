"""Hand on original signed volumes to a sub-enclave: verified, judged, copied byte for byte, recorded (SPEC 7.12)."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airlift import files
from airlift.bundle.returns.receipt import Receipt
from airlift.errors import RefusedError
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.enclave.kept import kept_bundles
from airlift.high.enclave.policy import PolicyDocument
from airlift.high.enclave.recover import recover
from airlift.high.relaying.check_receipt import MAX_BYTES, check_receipt, holds
from airlift.high.relaying.judge import Looked, Viewer, look_at
from airlift.high.verification.verified import VerifiedBundle
from airlift.ledger.entries.governance import Relayed
from airlift.ledger.state import State
from airlift.media import standing_volumes, volume_copies
from airlift.media.staging import staging
from airlift.media.volume_copies import Copy
from airlift.media.volume_reader import passed_over
from airlift.policy.document import SubEnclave
from airlift.progress import Progress, Tally, silent


@dataclass(frozen=True, slots=True)
class RelayRequest:
    """To whom, into which folder, from which volumes (none: what is kept), by which receipt."""

    to: str
    output: Path
    volumes: tuple[Path, ...] = ()
    receipt: Path | None = None


@dataclass(frozen=True, slots=True)
class RelayResult:
    """What was handed on, or would be: bundles, each with its volumes.

    ``held`` are bundles (ids) that the receipt says are not needed, ``refused`` the rules that kept others back.
    ``receipt`` is when the receipt was issued that was gone by, None without one.
    """

    to: str
    output: str
    handed: tuple[Mapping[str, Any], ...]
    held: tuple[str, ...]
    refused: tuple[Mapping[str, Any], ...]
    receipt: str | None
    passed_over: tuple[Path, ...] = ()
    recovered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Item:
    """A bundle that is handed on: what was verified, and the copies of its volumes."""

    verified: VerifiedBundle
    copies: tuple[Copy, ...]

    @property
    def chunk_bytes(self) -> int:
        return sum(sum(item.volume.chunks.values()) for item in self.copies)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a run comes to, before a chunk is read; ``receipt`` is the SHA-512 of the receipt's bytes."""

    items: tuple[_Item, ...]
    held: tuple[str, ...]
    refused: tuple[Mapping[str, Any], ...]
    stated: Receipt | None
    receipt: str | None
    passed_over: tuple[Path, ...]


def relay(
    enclave: Enclave,
    request: RelayRequest,
    *,
    operator: Operator,
    progress: Progress = silent,
    dry_run: bool = False,
) -> RelayResult:
    """Hand on a bundle from volumes, or all kept ones, that the sub-enclave may have and lacks.

    Raises:
        ProvenBadError: a volume, or the receipt, is bad: exit 3. IncompleteError: chunks are missing: exit 4.
        RefusedError: policy refuses it; of kept bundles, all that are left: exit 6.
        ExistsError: something else has a volume's name in the output folder. StorageError: exit 8. Nothing is handed
            on then.
    """
    with nullcontext() if dry_run else enclave.lock():
        recovered = () if dry_run else recover(enclave, operator)
        plan = enclave.look(lambda state: _plan(enclave, state, request, operator, keep_roots=not dry_run))
        _check_places(plan, request.output)
        count = Tally("hand on", sum(item.chunk_bytes for item in plan.items), progress).add
        if dry_run:
            for item in plan.items:
                volume_copies.check_chunks(item.copies, item.verified.bundle, count)
        elif plan.items:
            _hand_on(enclave, request, plan, operator, count)
    return RelayResult(
        to=request.to,
        output=str(request.output),
        handed=tuple(_told(item, request.output) for item in plan.items),
        held=plan.held,
        refused=plan.refused,
        receipt=plan.stated.issued if plan.stated else None,
        passed_over=plan.passed_over,
        recovered=recovered,
    )


def _plan(
    enclave: Enclave, state: State, request: RelayRequest, operator: Operator, *, keep_roots: bool
) -> _Plan:
    """Verify and judge everything that may be handed on."""
    document = policy.load_document(enclave, state)
    to = _sub_enclave(document, request.to)
    data = None if request.receipt is None else files.read_bounded(request.receipt, MAX_BYTES)
    key = document.relay_keys[Path(to.ledger_key).name]
    stated = None if data is None else check_receipt(data, to.name, key)
    viewer = Viewer(enclave, state, operator.now, keep_roots)
    looked = look_at(viewer, _sets(enclave, request), [to])
    good = [item for item in looked if not item.told()]
    if (looked and not good) or request.volumes:
        looked[0].insist()
    verified = [(item.volumes, item.insist()) for item in good]
    held = [one.bundle.id for _, one in verified if stated is not None and holds(stated, one.bundle)]
    return _Plan(
        items=tuple(
            _Item(one, volume_copies.plan_copies(volumes, one.bundle))
            for volumes, one in verified
            if one.bundle.id not in held
        ),
        held=tuple(held),
        refused=tuple(rule for item in looked for rule in item.told()),
        stated=stated,
        receipt=None if data is None else hashlib.sha512(data).hexdigest(),
        passed_over=_passed_over(looked),
    )


def _sub_enclave(document: PolicyDocument, name: str) -> SubEnclave:
    """Return what policy says of a sub-enclave.

    Raises:
        RefusedError: it names none of this name.
    """
    named = {item.name: item for item in document.policy.relay}
    if name not in named:
        raise RefusedError(
            "policy names no such sub-enclave",
            expected=", ".join(named) or "none is named",
            found=ascii(name[:80]).strip("'"),
            hint="name it under `relay` in the policy, with ledger key and ceiling: `airlift high policy set`",
        )
    return named[name]


def _sets(enclave: Enclave, request: RelayRequest) -> list[Sequence[Path]]:
    """Return the volumes of each bundle that is looked at: the given one, or all kept ones for the sub-enclave."""
    if request.volumes:
        return [request.volumes]
    kept = kept_bundles(enclave)
    return [[item.folder] for item in kept if not item.bundle or item.bundle.is_for(request.to)]


def _passed_over(looked: Sequence[Looked]) -> tuple[Path, ...]:
    return tuple(path for item in looked for path in passed_over(item.volumes))


def _check_places(plan: _Plan, output: Path) -> None:
    """Check that nothing stands in the places of the volumes but what an interrupted run put there."""
    for item in plan.items:
        for copy in item.copies:
            standing_volumes.check_place(output / copy.name, copy.volume)


def _hand_on(
    enclave: Enclave, request: RelayRequest, plan: _Plan, operator: Operator, count: volume_copies.Copied
) -> None:
    """Copy everything, record it, and let it appear, in this order (SPEC 7.12-7)."""
    with staging(request.output) as folder:
        written = [
            path
            for item in plan.items
            for path in volume_copies.write_copies(item.copies, item.verified.bundle, folder, count)
        ]
        new = standing_volumes.lacking(written, request.output)
        for item in plan.items:
            bundle = item.verified.bundle
            names = tuple(copy.name for copy in item.copies)
            enclave.record(
                operator,
                Relayed(item.verified.digest, request.to, names, plan.receipt),
                release=bundle.target.digest if bundle.target else None,
                bundle=bundle.id,
            )
        standing_volumes.place(new, request.output)


def _told(item: _Item, output: Path) -> dict[str, Any]:
    bundle = item.verified.bundle
    return {
        "bundle": bundle.id,
        "manifest": item.verified.digest,
        "target": bundle.target and bundle.target.label,
        "volumes": [{"path": str(output / copy.name), "bytes": copy.volume.size} for copy in item.copies],
    }
