"""Status and list: what the ledger and the disk say, and what an operator should look at. Changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airlift.bundle.fields import parse_time
from airlift.errors import AirliftError
from airlift.high import policy, recover
from airlift.high.enclave import Enclave
from airlift.ledger.state import State
from airlift.trust import metadata


@dataclass(frozen=True, slots=True)
class Status:
    """The state of an enclave in plain values."""

    enclave: str
    active: str | None
    previous: str | None
    installed: tuple[str, ...]
    staged: tuple[str, ...]
    trust: Mapping[str, Any]
    ledger: Mapping[str, Any]
    policy: Mapping[str, Any]
    warnings: tuple[str, ...]


def status(enclave: Enclave, now: datetime) -> Status:
    """Return the enclave's state and warnings.

    Raises:
        LedgerError, TrustStateError: the record or the trust state contradicts itself.
    """
    state = enclave.state()
    labels = {digest: enclave.load_release(digest).label for digest in _mentioned(state)}
    with enclave.ledger() as log:
        ledger = {"size": log.size, "root": log.root().hex()}
    return Status(
        enclave=enclave.name,
        active=labels.get(state.active or ""),
        previous=labels.get(state.previous or ""),
        installed=tuple(labels[digest] for digest in state.installed),
        staged=tuple(path.name for path in recover.children(enclave.staging)),
        trust=_trust(enclave, state),
        ledger=ledger,
        policy={"digest": state.policy},
        warnings=tuple(_warnings(enclave, state, now)),
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
    warnings = [f"interrupted work: {step.text}" for step in recover.plan(enclave, state)]
    try:
        rules = policy.load(enclave, state)
    except AirliftError as error:
        return [*warnings, f"policy: {error.message}"]
    if rules.digest != "sha512":
        warnings.append("policy: SHA-256 is not a CNSA 2.0 algorithm")
    if not state.bundles:
        return [*warnings, "no bundle was imported yet"]
    issued = parse_time(max(bundle.issued for bundle in state.bundles))  # such times sort as text
    if now < issued:
        warnings.append("the clock is behind the newest imported bundle: check it")
    elif now - issued > timedelta(days=rules.warn_after_days):
        warnings.append(f"stale: the newest imported bundle is {(now - issued).days} days old")
    for role, facts in _trust(enclave, state).items():
        if parse_time(facts["expires"]) < now:
            warnings.append(f"expired: {role} metadata on {facts['expires']}")
    return warnings


def listing(enclave: Enclave) -> tuple[dict[str, Any], ...]:
    """Return the installed releases with their components, oldest import first."""
    state = enclave.state()
    return tuple(
        {
            "release": release.label,
            "digest": release.digest,
            "marking": release.marking.to_json(),
            "active": release.digest == state.active,
            "previous": release.digest == state.previous,
            "components": [
                {"name": c.name, "kind": c.kind, "version": c.version, "digest": c.digest}
                for c in release.components
            ],
        }
        for release in map(enclave.load_release, state.installed)
    )
