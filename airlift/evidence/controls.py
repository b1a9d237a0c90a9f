"""Controls: which evidence bears on which control of SP 800-53, as one editable file maps it (SPEC 15.5).

Evidence is there or not; that is all that is judged here. Whether it suffices is for an assessor to say.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airlift import authored
from airlift.bundle.remarks import coverage
from airlift.evidence.facts import Facts
from airlift.evidence.names import WEIGHTS
from airlift.ledger import details
from airlift.ledger.entries.activations import ActivateCommit, ActivatePrepare
from airlift.ledger.entries.imports import SHA512, ImportCommit, ImportPrepare
from airlift.ledger.entries.registration import Registration
from airlift.ledger.entry import Entry
from airlift.policy.objections import is_within_ceiling
from airlift.policy.quorum import judge_quorums
from airlift.trust.statements.statement import STATING

FILE = "controls.yaml"
SCHEMA = "controls.schema.json"
CNSA = "ml-dsa-87"
SHOWN = 5
"""How many entries are named for one evidence; how many there are is said."""
LEDGER, RELEASE, COMPONENTS, MODELS = "ledger", "release", "components", "models"
OF_RELEASE = frozenset(kind.TYPE for kind in (ImportPrepare, ImportCommit, ActivatePrepare, ActivateCommit))
"""The types of entry that are evidence only if they are about the active release."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One evidence for a control: its words, whether it is there, what was found, and the entries that record it.

    ``subject`` says what it is about: :data:`LEDGER`, :data:`RELEASE`, its :data:`COMPONENTS`, or its :data:`MODELS`.
    """

    name: str
    found: bool
    text: str
    subject: str
    entries: tuple[Entry, ...]


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
    found, text, entries, subject = _FINDERS[word](facts, kind)
    return Evidence(name, found, text, subject, tuple(entries[-SHOWN:]))


def signers(facts: Facts, release: str, role: str, bundle: str | None = None) -> tuple[tuple[str, str], ...]:
    """Return (key id, holder) of those who signed a release as ``role``, as its imports recorded it.

    With ``bundle`` (digest) only as the import of that bundle did.
    """
    found: dict[str, str] = {}
    for entry in _imports(facts, release):
        said = details.read(entry, ImportCommit)
        if bundle in {None, said.bundle_manifest}:
            found |= {key: said.holder(key) for key in said.signers.get(role, ())}
    return tuple(sorted(found.items()))


def without_sha512(facts: Facts) -> tuple[Entry, ...]:
    """Return the entries of imports that verified files with another digest than SHA-512 (SPEC 7.3-7)."""
    return tuple(entry for entry in facts.entries if details.file_digest(entry) not in {None, SHA512})


# -- finders: found, text, entries, subject ------------------------------------------------------------------------

_Finding = tuple[bool, str, Sequence[Entry], str]


def _imports(facts: Facts, release: str | None) -> list[Entry]:
    return [entry for entry in facts.imports() if release is not None and entry.release == release]


def _brought(facts: Facts) -> list[Entry]:
    """Return what brought the active release: imports, also of what it was made from here, and registrations."""
    if facts.active is None:
        return []
    brought = [*_imports(facts, facts.imported(facts.active)), *facts.registrations(facts.active)]
    return sorted(brought, key=lambda entry: entry.index)


def _entry(facts: Facts, kind: str) -> _Finding:
    found = [entry for entry in facts.entries if entry.type == kind]
    if kind not in OF_RELEASE:
        count = facts.ledger.counts.get(kind, 0)
        return count > 0, f"entries of type {kind}: {count}", found, LEDGER
    about = [entry for entry in found if facts.active is not None and entry.release == facts.active]
    return bool(about), f"entries of type {kind} about the active release: {len(about)}", about, RELEASE


def _attestation(facts: Facts, kind: str) -> _Finding:
    """Look at what known keys say about the active release, and about the bundles that brought it."""
    subjects = [facts.active, *facts.carriers(facts.active)] if facts.active is not None else []
    votes = [
        (subject, key, passes) for subject in subjects for key, passes in facts.votes(subject, kind).items()
    ]
    speaking = {(subject, key) for subject, key, passes in votes if passes}
    keys, against = {key for _, key in speaking}, {key for _, key, passes in votes if not passes}
    text = f"{kind} attestations by known keys: {len(keys)} for, {len(against)} against"
    return bool(keys), text, _recording(facts, kind, speaking), RELEASE


def _quorum(facts: Facts, kind: str) -> _Finding:
    if kind not in facts.voters:
        return False, f"policy asks for no {kind} attestations", (), RELEASE
    found, told, speaking = _judged(facts, kind)
    return found, f"{told} that policy asks for", _recording(facts, kind, speaking), RELEASE


def _gate(facts: Facts, kind: str) -> _Finding:
    switch = facts.switch()
    if kind not in facts.voters or switch is None:
        return False, f"policy asks for no {kind} attestations, or nothing is active", (), RELEASE
    found, told, speaking = _judged(facts, kind, switch.index)
    before = [entry for entry in _recording(facts, kind, speaking) if entry.index < switch.index]
    return found, f"{told} before entry {switch.index} made it active", [*before, switch], RELEASE


def _judged(facts: Facts, kind: str, before: int | None = None) -> tuple[bool, str, set[tuple[str, str]]]:
    """Return whether a quorum is met for the active release, what it comes to, and pairs of that and who speaks."""
    subject = facts.active or ""
    standing = judge_quorums(facts.policy.demands, facts.case(subject, before))
    count = standing.count(kind)
    if count is None:
        return False, f"0 {kind} attestations", set()
    reasons = [*count.reasons, *standing.clashes(kind)]
    told = f"{len(count.holders)} of {count.threshold} {kind} attestations"
    told += f" ({'; '.join(reasons)})" if reasons else ""
    return standing.is_met(kind), told, {(subject, key) for key in count.keys}


def _recording(facts: Facts, kind: str, speaking: Collection[tuple[str, str]]) -> list[Entry]:
    """Return the entries that recorded what ``speaking`` pairs of subject and key said for the subject, in order."""
    found = {
        item.entry
        for item in facts.attestations
        if item.kind == kind
        and (item.passes or kind in STATING)
        and any((item.subject, key) in speaking for key in item.keys)
    }
    return [facts.entry(index) for index in sorted(found)]


def _ledger(facts: Facts, _kind: str) -> _Finding:
    text = f"all {facts.ledger.size} entries verified up to root {facts.ledger.root.hex()[:16]}"
    return True, text, (), LEDGER


def _witness(facts: Facts, _kind: str) -> _Finding:
    names, claimed = facts.ledger.witnesses, facts.ledger.claimed
    text = f"newest checkpoint countersigned by {', '.join(names) or 'nobody whose key was given'}"
    if claimed:
        text += f"; it also bears the name {', '.join(claimed)}, not verified"
    return bool(names), text, (), LEDGER


def _authority(facts: Facts, _kind: str) -> _Finding:
    """Look at who signed the active release; one that was registered here has a part that no authority signed."""
    found = signers(facts, facts.imported(facts.active), "targets") if facts.active else ()
    text = f"active release signed by {', '.join(holder for _, holder in found) or 'nobody'}"
    made = facts.registrations(facts.active) if facts.active else ()
    if made:
        inside = ", ".join(details.read(made[0], Registration).registered)
        base = details.read(made[-1], Registration).base.label
        text = f"active release registered here, with {inside}, from {base}: {text.replace('active release ', '')}"
    return bool(found) and not made, text, _brought(facts), RELEASE


def _sources(facts: Facts, _kind: str) -> _Finding:
    components = facts.active_release.components if facts.active_release else ()
    told = [c for c in components if c.source.get("kind")]
    text = f"{len(told)} of {len(components)} components name their source"
    return 0 < len(told) == len(components), text, _brought(facts), COMPONENTS


def _vendor(facts: Facts, _kind: str) -> _Finding:
    brought = [entry for entry in _brought(facts) if entry.type == ImportCommit.TYPE]
    recorded = [(entry, details.read(entry, ImportCommit).vendor_signatures) for entry in brought]
    imports = [entry for entry, signatures in recorded if signatures]
    verified = {(item.component, item.sha512) for _, signatures in recorded for item in signatures}
    release = facts.active_release
    models = [c for c in release.components if c.kind in WEIGHTS] if release else []
    signed = [c for c in models if c.vendor_signature and (c.name, c.vendor_signature.sha512) in verified]
    text = f"{len(signed)} of {len(models)} models carry a vendor's signature that was verified here"
    partly = [f"{c.name}: {told}" for c in signed if (told := coverage(c)) is not None]
    text += f" ({'; '.join(partly)})" if partly else ""
    return 0 < len(signed) == len(models), text, imports, MODELS


def _marking(facts: Facts, _kind: str) -> _Finding:
    release = facts.active_release
    shown = f"active release: {release.marking}" if release else "no release is active"
    found = release is not None and is_within_ceiling(release.marking, facts.policy)
    return found, f"{shown}; ceiling: {facts.policy.ceiling}", _brought(facts), RELEASE


def _scheme(facts: Facts, _kind: str) -> _Finding:
    return facts.ledger.scheme == CNSA, f"the ledger's key is {facts.ledger.scheme}", (), LEDGER


def _digest(facts: Facts, _kind: str) -> _Finding:
    """Look at every import, and at those that did not come to an end: what they put in place may be in use."""
    odd = without_sha512(facts)
    return not odd, f"entries of imports, begun or finished, that say SHA-256: {len(odd)}", odd, LEDGER


_FINDERS: dict[str, Callable[[Facts, str], _Finding]] = {
    "entry": _entry,
    "attestation": _attestation,
    "quorum": _quorum,
    "gate": _gate,
    "ledger": _ledger,
    "witness": _witness,
    "authority": _authority,
    "sources": _sources,
    "vendor": _vendor,
    "marking": _marking,
    "scheme": _scheme,
    "digest": _digest,
}
