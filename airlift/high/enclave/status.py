"""Status and list: what the ledger and the disk say, and what an operator should look at. Changes nothing."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airlift.bundle import choice, remarks
from airlift.bundle.fields import parse_time
from airlift.bundle.release import Release
from airlift.bundle.revocations import Revocation
from airlift.errors import AirliftError
from airlift.high.enclave import policy, recover, revoked
from airlift.high.enclave.age import freshness
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.expected import NOT_CNSA
from airlift.high.enclave.switching import follow
from airlift.high.enclave.switching.left_standing import revoked_exports
from airlift.ledger import details
from airlift.ledger.entries.activations import Abort
from airlift.ledger.entries.imports import SHA512
from airlift.ledger.state import State
from airlift.policy import floors
from airlift.policy.document import Policy
from airlift.policy.freshness import stale_rulings
from airlift.policy.objections import content_objections
from airlift.policy.ruling import refusals
from airlift.trust.tuf import metadata

UNIMPORTED = "no bundle was imported yet"


@dataclass(frozen=True, slots=True)
class Status:
    """The state of an enclave in plain values; ``imports`` counts them by the digest that verified their files.

    ``registered`` are those of the installed releases that were made here, ``floors`` the versions below which
    nothing is activated, ``revocations`` what is revoked and not lifted; ``relay`` are bundles to be handed on,
    ``exports`` what follows; ``variants`` are the names of those that the active release runs with.
    """

    enclave: str
    active: str | None
    previous: str | None
    installed: tuple[str, ...]
    registered: tuple[str, ...]
    staged: tuple[Mapping[str, Any], ...]
    trust: Mapping[str, Any]
    ledger: Mapping[str, Any]
    policy: Mapping[str, Any]
    imports: Mapping[str, int]
    floors: Mapping[str, str]
    revocations: tuple[Mapping[str, Any], ...]
    relay: tuple[Mapping[str, Any], ...]
    exports: tuple[Mapping[str, Any], ...]
    variants: tuple[str, ...]
    warnings: tuple[str, ...]


def enclave_status(enclave: Enclave, now: datetime) -> Status:
    """Return the enclave's state and warnings.

    Raises:
        LedgerError, TrustStateError: the record or the trust state contradicts itself.
    """
    return enclave.look(lambda state: _status(enclave, state, now))


def _status(enclave: Enclave, state: State, now: datetime) -> Status:
    known = {digest: enclave.load_release(digest) for digest in _mentioned(state)}
    labels = {digest: release.label for digest, release in known.items()}
    names = labels | {
        item.digest: f"{item.name}@{item.version}"
        for release in known.values()
        for item in release.components
    }
    inside = enclave.registered()
    with enclave.ledger() as log:
        ledger = {"size": log.size, "root": log.root().hex()}
    return Status(
        enclave=enclave.name,
        active=labels.get(state.active or ""),
        previous=labels.get(state.previous or ""),
        installed=tuple(labels[digest] for digest in state.installed),
        registered=tuple(labels[digest] for digest in state.installed if digest in inside),
        staged=_staged(enclave, state, now),
        trust=_trust(enclave, state),
        ledger=ledger,
        policy={"digest": state.policy},
        imports=_imports(state),
        floors=_floors(enclave, state),
        revocations=tuple(_revocation(item, names) for item in revoked.in_force(enclave, state).entries),
        relay=_kept(enclave),
        exports=_exports(state),
        variants=state.chosen,
        warnings=tuple(_warnings(enclave, state, now)),
    )


def _staged(enclave: Enclave, state: State, now: datetime) -> tuple[Mapping[str, Any], ...]:
    """Return what is staged (SPEC 7.8-6); mostly that is nothing, and nothing is loaded to tell it."""
    if not recover.children(enclave.staging):
        return ()
    from airlift.high.enclave.outlook import describe_staged  # noqa: PLC0415 - loaded only if it is needed

    return describe_staged(enclave, state, now)


def _kept(enclave: Enclave) -> tuple[Mapping[str, Any], ...]:
    """Return what is kept to be handed on (SPEC 7.12-2); mostly that is nothing."""
    if not recover.children(enclave.relay):
        return ()
    from airlift.high.enclave.kept import describe_kept  # noqa: PLC0415 - as above

    return describe_kept(enclave)


def _exports(state: State) -> tuple[Mapping[str, Any], ...]:
    """Return what follows what is active (SPEC 8.7-6), and whether it does."""
    behind = {export.output for export in follow.out_of_step(state)}
    return tuple(
        {"layout": item.layout, "output": item.output, "in_step": item.output not in behind}
        for item in state.follows
    )


def _mentioned(state: State) -> set[str]:
    return {digest for digest in (*state.installed, state.active, state.previous) if digest}


def _trust(enclave: Enclave, state: State) -> dict[str, Any]:
    roots = enclave.load_roots()
    found = {"root.json": roots[max(roots)], **enclave.load_trust(state)}
    return {
        name.removesuffix(".json"): {key: signed[key] for key in ("version", "expires")}
        for name, data in found.items()
        for signed in [metadata.check(name.removesuffix(".json"), data)["signed"]]
    }


def _warnings(enclave: Enclave, state: State, now: datetime) -> list[str]:
    warnings = [f"interrupted work: {step.text}" for step in recover.unfinished_steps(enclave, state)]
    try:
        rules = policy.load(enclave, state)
    except AirliftError as error:
        return [*warnings, f"policy: {error.message}"]
    warnings += [*_outside(enclave, state), *([f"policy: {NOT_CNSA}"] if rules.digest != SHA512 else [])]
    active = enclave.load_release(state.active) if state.active else None
    warnings += [
        f"policy would not let the active release run: {item.message}"
        for item in content_objections(active, rules)
    ]
    warnings += _chosen_otherwise(state, active, rules)
    warnings += [*_revoked(enclave, state, active), *_left_standing(enclave, state)]
    if not state.bundles:
        return [*warnings, UNIMPORTED]
    warnings += _age(enclave, state, now, rules)
    for role, facts in _trust(enclave, state).items():
        if parse_time(facts["expires"]) < now:
            warnings.append(f"expired: {role} metadata on {facts['expires']}")
    return warnings


def _age(enclave: Enclave, state: State, now: datetime, rules: Policy) -> Iterator[str]:
    """Warn of what the enclave knows if it is old, and of a clock that signed times or the ledger contradict."""
    fresh = freshness(enclave, state, None, now)
    if fresh is None:
        return
    if now < parse_time(max(bundle.issued for bundle in state.bundles)):  # such times sort as text
        yield "the clock is behind the newest imported bundle: check it"
    elif now < fresh.moment:
        yield "the clock is behind the newest entries of the ledger: check it"
    if fresh.age > timedelta(days=rules.warn_after_days):
        yield f"stale: the newest imported bundle is {fresh.age.days} days old"
    yield from (
        f"nothing new is activated: {error.message}" for error in refusals(stale_rulings(fresh, rules))
    )


def _chosen_otherwise(state: State, active: Release | None, rules: Policy) -> Iterator[str]:
    """Warn if policy chooses other variants than run (SPEC 7.14-8)."""
    for picked in choice.pick(active, rules.variants) if active is not None else ():
        runs = ", ".join(item.name for item in picked.variants if item.name in state.chosen)
        wanted = picked.chosen.name if picked.chosen is not None else "none, or several, of its variants"
        if runs != wanted:
            yield f"policy chooses {wanted} of component {picked.of}, and {runs} runs"


def _revoked(enclave: Enclave, state: State, active: Release | None) -> list[str]:
    if active is None:
        return []
    found = revoked.findings(revoked.in_force(enclave, state), active)
    return [f"revoked, and active: {item.error().message}" for item in found]


def _left_standing(enclave: Enclave, state: State) -> Iterator[str]:
    """Warn of exports that do not follow, of what was revoked since: airlift does not touch them."""
    for output, label, message in revoked_exports(enclave, state):
        yield f"revoked, and still served: {output} has {label}, and {message}: stop what reads it, and remove it"


def _floors(enclave: Enclave, state: State) -> dict[str, str]:
    """Return the floors in force: those of the record alone, if the policy is not the recorded one."""
    try:
        return floors.higher(dict(policy.load(enclave, state).floors), dict(state.floors))
    except AirliftError:
        return dict(state.floors)


def _revocation(item: Revocation, names: Mapping[str, str]) -> dict[str, Any]:
    """Return a revocation, with the name of what it is about if that is installed here."""
    said = {"kind": item.kind, "digest": item.digest, "type": item.type, "reason": item.reason}
    return {**said, "name": names.get(item.digest)}


def _imports(state: State) -> dict[str, int]:
    """Count the imports that rebuilt files, by the digest that these were verified with."""
    return dict(sorted(Counter(b.file_digest for b in state.bundles if b.file_digest is not None).items()))


def _outside(enclave: Enclave, state: State) -> list[str]:
    """Warn of imports whose files were verified with another digest than SHA-512, aborted ones too (SPEC 7.3-7)."""
    count = sum(number for name, number in _imports(state).items() if name != SHA512)
    with enclave.ledger() as log:
        undone = [log.entry(details.read(entry, Abort).undoes) for entry in log.entries(types=(Abort.TYPE,))]
    count += sum(details.file_digest(entry) not in {None, SHA512} for entry in undone)
    return (
        [f"imports: {count} verified files with SHA-256, which is not a CNSA 2.0 algorithm"] if count else []
    )


def list_releases(enclave: Enclave) -> tuple[dict[str, Any], ...]:
    """Return the installed releases with their components, oldest import first."""
    state = enclave.state()
    held = (enclave.load_release(digest).only(state.held_variants(digest)) for digest in state.installed)
    return tuple(
        {
            "release": release.label,
            "digest": release.digest,
            "marking": release.marking.to_json(),
            "active": release.digest == state.active,
            "previous": release.digest == state.previous,
            "components": list(remarks.summaries(release)),
            "remarks": list(remarks.of_release(release)),
        }
        for release in held
    )
