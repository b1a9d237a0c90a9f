"""Controls: which evidence bears on which control of SP 800-53, as one editable file maps it (SPEC 15.5).

Evidence is there or not; that is all that is judged here. Whether it suffices is for an assessor to say.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airlift import authored
from airlift.bundle.release import Release
from airlift.evidence.facts import Attested, Facts
from airlift.ledger.entry import Entry

FILE = "controls.yaml"
SCHEMA = "controls.schema.json"
CNSA = "ml-dsa-87"
SHOWN = 5
"""How many entries are named for one evidence; how many there are is said."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One evidence for a control: its words, whether it is there, what was found, and the entries that record it."""

    name: str
    found: bool
    text: str
    entries: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """A control and its evidence; ``satisfied`` if all of it is there."""

    id: str
    title: str
    claim: str
    evidence: tuple[Evidence, ...]

    @property
    def satisfied(self) -> bool:
        """Whether every evidence that the control lists is there."""
        return all(item.found for item in self.evidence)


def parse(name: str, data: bytes) -> Mapping[str, Any]:
    """Return the mapping in a YAML file that people know as ``name``.

    Raises:
        ManifestError: it is not valid under manifests/controls.schema.json.
    """
    return authored.load(name, data, SCHEMA)


def judge(facts: Facts) -> tuple[Judged, ...]:
    """Return every control of the facts' mapping with its evidence."""
    return tuple(
        Judged(
            item["id"],
            item["title"],
            item["claim"],
            tuple(evidence(facts, name) for name in item["evidence"]),
        )
        for item in facts.controls.get("controls", ())
    )


def evidence(facts: Facts, name: str) -> Evidence:
    """Return whether the evidence that ``name`` stands for is in the facts."""
    word, _, kind = name.partition(" ")
    found, text, entries = _FINDERS[word](facts, kind)
    return Evidence(name, found, text, tuple(entries))


def signers(facts: Facts, release: str, role: str) -> tuple[tuple[str, str], ...]:
    """Return (key id, holder) of those who signed a release as ``role``, as its imports recorded it."""
    found: dict[str, str] = {}
    for entry in _imports(facts, release):
        for key in entry.detail.get("signers", {}).get(role, ()):
            found[key] = str(entry.detail.get("holders", {}).get(key, "unnamed holder"))
    return tuple(sorted(found.items()))


# -- finders: found, text, entries ---------------------------------------------------------------------------------

_Finding = tuple[bool, str, Iterable[int]]


def _imports(facts: Facts, release: str | None) -> list[Entry]:
    return [entry for entry in facts.imports() if entry.release == release]


def _named(entries: Iterable[Entry], what: str) -> _Finding:
    found = list(entries)
    return bool(found), f"{len(found)} {what}", (entry.index for entry in found[-SHOWN:])


def _entry(facts: Facts, kind: str) -> _Finding:
    return _named((entry for entry in facts.entries if entry.type == kind), f"entries of type {kind}")


def _attestations(facts: Facts, kind: str) -> list[Attested]:
    """Return what speaks for the active release; provenance states, it does not judge."""
    about = facts.about(facts.active) if facts.active else ()
    return [
        item
        for item in about
        if item.kind == kind
        and (item.passes or kind == "provenance")
        and any(signer.verified for signer in item.signers)
    ]


def _attestation(facts: Facts, kind: str) -> _Finding:
    found = _attestations(facts, kind)
    return (
        bool(found),
        f"{len(found)} {kind} attestations by known keys",
        (item.entry for item in found[-SHOWN:]),
    )


def _quorum(facts: Facts, kind: str) -> _Finding:
    quorum = dict(facts.policy.attestations).get(kind)
    if quorum is None:
        return False, f"policy asks for no {kind} attestations", ()
    found = _attestations(facts, kind)
    keys = {signer.key_id for item in found for signer in item.signers if signer.verified}
    text = f"{len(keys)} of {quorum.threshold} {kind} attestations that policy asks for"
    return len(keys) >= quorum.threshold, text, (item.entry for item in found[-SHOWN:])


def _ledger(facts: Facts, _kind: str) -> _Finding:
    return True, f"all {facts.ledger.size} entries verified up to root {facts.ledger.root.hex()[:16]}", ()


def _witness(facts: Facts, _kind: str) -> _Finding:
    names = facts.ledger.witnesses
    return bool(names), f"newest checkpoint countersigned by {', '.join(names) or 'nobody'}", ()


def _authority(facts: Facts, _kind: str) -> _Finding:
    found = signers(facts, facts.active, "targets") if facts.active else ()
    text = ", ".join(holder for _, holder in found) or "nobody"
    imports = _imports(facts, facts.active) if facts.active else []
    return bool(found), f"active release signed by {text}", (entry.index for entry in imports[-SHOWN:])


def _sources(facts: Facts, _kind: str) -> _Finding:
    release = facts.active_release
    count = len(release.components) if release else 0
    return count > 0, f"{count} components name their source", ()


def _vendor(facts: Facts, _kind: str) -> _Finding:
    models = _models(facts.active_release)
    signed = [c for c in models if c.vendor_signature is not None]
    imports = [e for e in _imports(facts, facts.active) if e.detail.get("vendor_signatures")]
    text = f"{len(signed)} of {len(models)} models carry a vendor's signature that was verified here"
    return bool(models) and len(signed) == len(models), text, (entry.index for entry in imports[-SHOWN:])


def _models(release: Release | None) -> list[Any]:
    return [c for c in release.components if c.kind in {"model", "adapter", "guard"}] if release else []


def _marking(facts: Facts, _kind: str) -> _Finding:
    release = facts.active_release
    shown = str(release.marking) if release else "no active release"
    return release is not None, f"active release: {shown}; ceiling: {facts.policy.ceiling}", ()


def _scheme(facts: Facts, _kind: str) -> _Finding:
    return facts.ledger.scheme == CNSA, f"the ledger's key is {facts.ledger.scheme}", ()


_FINDERS: dict[str, Callable[[Facts, str], _Finding]] = {
    "entry": _entry,
    "attestation": _attestation,
    "quorum": _quorum,
    "ledger": _ledger,
    "witness": _witness,
    "authority": _authority,
    "sources": _sources,
    "vendor": _vendor,
    "marking": _marking,
    "scheme": _scheme,
}
