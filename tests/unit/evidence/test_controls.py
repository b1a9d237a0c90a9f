"""Controls: evidence is there only if the record shows it, and never missing where the record does (SPEC 15.5)."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from airlift.bundle.component.component import Component
from airlift.bundle.component.vendor_signature import VendorSignature
from airlift.bundle.fields import Marking
from airlift.bundle.release import Release
from airlift.errors import QuorumError
from airlift.evidence import controls
from airlift.evidence.controls import Evidence
from airlift.evidence.facts import Attested, Facts
from airlift.high.activation.activate import activate
from airlift.high.governance.approve import approve
from airlift.high.governance.record_attestations import record_attestations
from airlift.high.record.gather import gather_facts
from airlift.ledger import audit
from airlift.ledger.audit import Audit
from airlift.ledger.entries.imports import ImportReject, VendorVerified
from airlift.ledger.entry import Entry
from airlift.ledger.log import Log
from airlift.policy.demands import Quorum
from airlift.trust.keys.file import FileSigner
from tests.support import keys
from tests.support.depots import NOW
from tests.support.enclaves import enclave, operator, switch_to, take
from tests.support.facts import SPEAKERS, attested, bundle, sha512
from tests.unit.evidence.documents.test_exports import rich, sample
from tests.unit.high.governance.test_attestations import counted, demanding, made, written
from tests.unit.high.governance.test_standing import ruled

pytestmark = pytest.mark.usefixtures("quick_disk")


def evidence(found: Facts, name: str) -> Evidence:
    return controls.evidence(found, name)


def active(found: Facts) -> Release:
    release = found.active_release
    assert release is not None
    return release


def saying(*more: Attested, base: Facts | None = None) -> Facts:
    """Return facts whose active release has these attestations only."""
    return replace(base or rich(), attestations=more)


def with_components(found: Facts, *components: Component) -> Facts:
    """Return facts in which a release of these components is active, with the entries of the one before."""
    before = active(found)
    after = replace(before, components=components)
    entries = tuple(
        replace(e, release=after.digest if e.release == before.digest else e.release) for e in found.entries
    )
    return replace(
        found, active=after.digest, releases={**found.releases, after.digest: after}, entries=entries
    )


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("quorum approval", True),
        ("quorum scan", False),
        ("attestation scan", True),
        ("attestation custody", False),
        ("entry import-reject", True),
        ("entry gc", False),
        ("vendor", False),
        ("sources", True),
        ("scheme", True),
        ("digest", True),
        ("marking", True),
        ("authority", True),
    ],
)
def test_evidence_is_there_or_not(name: str, found: bool) -> None:
    assert evidence(rich(), name).found == found


# -- attestations and quorums --------------------------------------------------------------------------------------


def test_an_unverified_or_failing_attestation_is_no_evidence() -> None:
    release = active(rich())
    for item in (
        attested(release, "scan", 0, 2, verified=False),
        attested(release, "scan", 0, 2, passes=False),
    ):
        assert not evidence(saying(item), "attestation scan").found


def test_a_quorum_counts_the_keys_that_policy_names_and_no_others() -> None:
    release = active(rich())
    ours, theirs = attested(release, "approval", 1, 2), attested(release, "approval", 0, 2)
    found = evidence(saying(ours, theirs), "quorum approval")
    assert (found.found, found.text) == (False, "1 of 2 approval attestations that policy asks for")
    assert [entry.index for entry in found.entries] == [2]
    both = saying(ours, attested(release, "approval", 2, 2))
    assert evidence(both, "quorum approval").found
    assert not evidence(replace(both, voters={"approval": frozenset(SPEAKERS[:2])}), "quorum approval").found


def test_an_approval_after_the_fact_is_no_gate() -> None:
    later = Entry(12, "2026-11-20T12:00:00Z", "attestation", "operator", rich().active, None, {})
    found = replace(rich(), entries=(*rich().entries, later))
    release, switch = active(found), found.switch()
    assert switch is not None
    assert (switch.index, switch.type, switch.release) == (11, "rollback-commit", release.digest)

    def gate(*said: Attested) -> Evidence:
        return evidence(saying(*said, base=found), "gate approval")

    before = [attested(release, "approval", n, 2) for n in (1, 2)]
    after = [attested(release, "approval", n, 12) for n in (1, 2)]
    passed = gate(*before)
    assert (passed.found, passed.text) == (
        True,
        "2 of 2 approval attestations before entry 11 made it active",
    )
    assert [entry.index for entry in passed.entries] == [2, 11]
    late = gate(before[0], after[1])
    assert (late.found, late.text) == (False, "1 of 2 approval attestations before entry 11 made it active")
    assert evidence(saying(before[0], after[1], base=found), "quorum approval").found
    withdrawn = [attested(release, "approval", n, 3, passes=False) for n in (1, 2)]
    assert not gate(*before, *withdrawn, *after).found
    regretted = [attested(release, "approval", n, 12, passes=False) for n in (1, 2)]
    assert gate(*before, *regretted).found  # it was let through then
    never = replace(saying(*before), entries=tuple(e for e in found.entries if "commit" not in e.type))
    assert not evidence(never, "gate approval").found
    assert not evidence(saying(*before), "gate scan").found
    assert not evidence(replace(saying(*before), active=None), "gate approval").found


def test_one_key_that_approves_twice_is_one_vote() -> None:
    release = active(rich())
    twice = saying(attested(release, "approval", 1, 2), attested(release, "approval", 1, 6))
    assert evidence(twice, "quorum approval").text.startswith("1 of 2")


@pytest.mark.parametrize("kind", ["approval", "scan"])
def test_what_was_withdrawn_is_no_evidence(kind: str) -> None:
    release = active(rich())
    given = [attested(release, kind, n, 2) for n in (1, 2)]
    name = "quorum approval" if kind == "approval" else "attestation scan"
    assert evidence(saying(*given), name).found
    withdrawn = [attested(release, kind, n, 6, passes=False) for n in (1, 2)]
    assert not evidence(saying(*given, *withdrawn), name).found
    assert not evidence(saying(*withdrawn, *given), name).found  # in whatever order they are told
    again = [attested(release, kind, n, 8) for n in (1, 2)]
    assert evidence(saying(*given, *withdrawn, *again), name).found


def test_others_who_speak_against_are_told() -> None:
    release = active(rich())
    found = evidence(
        saying(attested(release, "scan", 0, 2), attested(release, "scan", 1, 3, passes=False)),
        "attestation scan",
    )
    assert (found.found, found.text) == (True, "scan attestations by known keys: 1 for, 1 against")


def test_an_attestation_about_the_bundle_that_brought_the_release_counts() -> None:
    found = rich()
    brought = bundle(5, active(found), None)
    other = bundle(6, next(r for d, r in found.releases.items() if d != found.active), None)
    held = replace(found, bundles={**found.bundles, brought.digest: brought, other.digest: other})
    for kind in ("custody", "provenance"):
        about = attested(brought, kind, 0, 2, passes=kind != "provenance")
        assert evidence(saying(about, base=held), f"attestation {kind}").found
        elsewhere = attested(other, kind, 0, 2)
        assert not evidence(saying(elsewhere, base=held), f"attestation {kind}").found
    approvals = [attested(brought, "approval", n, 2) for n in (1, 2)]
    assert not evidence(saying(*approvals, base=held), "quorum approval").found  # as at the gate


def test_the_quorum_is_the_one_that_the_gate_counts(tmp_path: Path) -> None:
    place = demanding(enclave("one", tmp_path), tmp_path)
    release = place.state().active
    assert release is not None

    def agreed() -> dict[str, int]:
        found = gather_facts(place, NOW)
        told = {kind: evidence(found, f"quorum {kind}").text for kind in ("approval", "scan")}
        counts = counted(place, release)
        assert told == {kind: f"{counts[kind]} of {quorum.threshold} {kind} attestations that policy asks for"
                        for kind, quorum in found.policy.attestations}  # fmt: skip
        assert evidence(found, "quorum scan").found == (counts["scan"] >= 1)
        return dict(counts)

    assert agreed() == {"approval": 0, "scan": 0}
    record_attestations(place, [written(tmp_path, made("scan", "issm", release))], operator=operator())
    assert agreed() == {"approval": 0, "scan": 0}  # a known key, but not for scans
    record_attestations(place, [written(tmp_path, made("scan", "scanner", release))], operator=operator())
    for name, reject, expected in (("issm", False, 1), ("owner", False, 2), ("issm", True, 1)):
        approve(place, "assistant@1", signer=keys.signer(name), operator=operator(), reject=reject)
        assert agreed() == {"approval": expected, "scan": 1}


AGED = (
    "attestations: {approval: {threshold: 1, keys: [issm.pub, erin.pub], expires_after_days: 90}}\n"
    "bar: [[release, approval]]\n"
)


def test_age_and_bars_are_judged_as_the_gate_does(tmp_path: Path) -> None:
    place = ruled(enclave("one", tmp_path), tmp_path, AGED)

    def told(name: str, days: int = 0) -> tuple[bool, str]:
        now = NOW + timedelta(days=days)
        found = evidence(gather_facts(place, now), name)
        try:
            activate(place, "assistant@1", operator=operator(now), dry_run=True)
        except QuorumError:
            assert not evidence(gather_facts(place, now), "quorum approval").found
        else:
            assert evidence(gather_facts(place, now), "quorum approval").found
        return found.found, found.text

    approve(place, "assistant@1", signer=keys.signer("erin"), operator=operator())
    barred = "0 of 1 approval attestations (bar [release, approval] leaves out erin) that policy asks for"
    assert told("quorum approval") == (False, barred)
    approve(place, "assistant@1", signer=keys.signer("issm"), operator=operator())
    assert told("quorum approval")[0]
    assert told("quorum approval", 90)[0]
    found, text = told("quorum approval", 91)
    assert (found, "1 expired (issm)" in text) == (False, True)
    assert not told("gate approval")[0]  # it ran before anybody approved


def test_the_gate_is_judged_by_what_was_known_then(tmp_path: Path) -> None:
    """An approval that has expired since let the release through all the same."""
    place = ruled(enclave("fresh", tmp_path), tmp_path, AGED)
    take(place, "full")
    approve(place, "assistant@1", signer=keys.signer("issm"), operator=operator())
    activate(place, "assistant@1", operator=operator())
    later = gather_facts(place, NOW + timedelta(days=400))
    assert evidence(later, "gate approval").found
    assert not evidence(later, "quorum approval").found


def test_two_kinds_that_bar_each_other_are_no_evidence_by_one_person() -> None:
    release = active(rich())
    quorum = Quorum(1, ("issm.pub", "owner.pub"))
    base = replace(
        rich(),
        policy=replace(
            rich().policy,
            attestations=(("approval", quorum), ("scan", quorum)),
            bars=(("approval", "scan"),),
        ),
        voters=dict.fromkeys(("approval", "scan"), frozenset(SPEAKERS[1:])),
    )
    both = [attested(release, kind, 1, 2) for kind in ("approval", "scan")]
    found = evidence(saying(*both, base=base), "quorum approval")
    assert (found.found, found.text) == (
        False,
        "1 of 1 approval attestations (too few different holders for approval and scan) that policy asks for",
    )
    another = attested(release, "scan", 2, 2)
    assert evidence(saying(*both, another, base=base), "quorum approval").found


# -- entries -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["import-prepare", "import-commit", "activate-prepare", "activate-commit"])
def test_of_imports_and_activations_only_the_active_releases_count(kind: str) -> None:
    found = rich()
    assert evidence(found, f"entry {kind}").found
    others = replace(found, entries=tuple(e for e in found.entries if e.release != found.active))
    assert any(entry.type == kind for entry in others.entries)
    assert not evidence(others, f"entry {kind}").found
    nothing = replace(others, active=None)  # entries about no release are not about the one that is not there
    renewal = Entry(99, "2026-11-20T12:00:00Z", kind, "operator", None, "b", {})
    assert not evidence(replace(nothing, entries=(*nothing.entries, renewal)), "entry import-commit").found


def test_what_is_left_out_still_counts() -> None:
    found = rich()
    kept = tuple(e for e in found.entries if e.type != "import-reject")
    many = replace(found, entries=(*kept, Entry(900, "2026-11-20T12:00:00Z", "import-reject", "o", None, None, {})),
                   ledger=replace(found.ledger, counts=Counter({"import-reject": 7000})))  # fmt: skip
    shown = evidence(many, "entry import-reject")
    assert shown.text == "entries of type import-reject: 7000"
    assert [entry.index for entry in shown.entries] == [900]


def test_an_old_enrolment_and_activation_are_never_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = enclave("two", tmp_path)
    switch_to(place, "assistant@1")
    whole = gather_facts(place, NOW)
    monkeypatch.setattr("airlift.high.record.gather.NEWEST", 1)
    for _ in range(20):
        place.record(operator(), ImportReject("malformed", 3))
    found = gather_facts(place, NOW)
    assert found.omitted > 0
    for name in ("entry enroll", "entry import-commit", "entry activate-commit", "entry rollback-commit"):
        assert evidence(found, name) == evidence(whole, name)
    assert evidence(found, "entry import-reject").text == "entries of type import-reject: 20"
    assert len(evidence(found, "entry import-reject").entries) == controls.SHOWN


def test_what_is_written_meanwhile_is_in_or_out_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = enclave("two", tmp_path)
    verify = audit.verify_log

    def interrupted(log: Log) -> Audit:
        monkeypatch.setattr(audit, "verify_log", verify)
        switch_to(place, "assistant@1")
        return verify(log)

    monkeypatch.setattr(audit, "verify_log", interrupted)
    found = gather_facts(place, NOW)
    assert (active(found).label, found.ledger.size) == ("assistant@1", place.state().size)


# -- release and ledger --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ceiling", "covered"),
    [
        (Marking("SECRET", ("NOFORN",)), True),
        (Marking("TOP SECRET", ("NOFORN", "REL")), True),
        (Marking("SECRET"), False),
        (Marking("CONFIDENTIAL", ("NOFORN",)), False),
        (Marking("UNCLASSIFIED"), False),
    ],
)
def test_a_marking_is_evidence_within_the_ceiling_only(ceiling: Marking, covered: bool) -> None:
    found = replace(sample(), active=sample().previous)
    assert str(active(found).marking) == "SECRET//NOFORN"
    assert evidence(replace(found, policy=replace(found.policy, ceiling=ceiling)), "marking").found == covered
    odd = replace(found, policy=replace(found.policy, levels=("UNCLASSIFIED", "RESTRICTED")))
    assert not evidence(odd, "marking").found


def test_a_vendors_signature_counts_if_an_import_recorded_that_it_was_verified() -> None:
    signature = VendorSignature("key", sha512("sig"), 900, ("PEM",))
    signed = [replace(c, vendor_signature=signature) for c in active(rich()).components]
    found = with_components(rich(), *signed)
    assert not evidence(found, "vendor").found
    for named, verified in ((("base", "docs", "guard"), True), (("base", "docs"), False)):
        said = [VendorVerified(name, signature.sha512, "key", "6" * 64).format() for name in named]
        entries = tuple(
            replace(e, detail={**e.detail, "vendor_signatures": said})
            if e.type == "import-commit" and e.release == found.active
            else e
            for e in found.entries
        )
        assert evidence(replace(found, entries=entries), "vendor").found == verified
    other = [
        VendorVerified(name, sha512("other"), "key", "6" * 64).format() for name in ("base", "docs", "guard")
    ]
    entries = tuple(replace(e, detail={**e.detail, "vendor_signatures": other}) for e in found.entries)
    assert not evidence(replace(found, entries=entries), "vendor").found


def test_a_component_without_a_source_is_told() -> None:
    first, *others = active(rich()).components
    found = evidence(with_components(rich(), replace(first, source={}), *others), "sources")
    assert (found.found, found.text) == (False, "3 of 4 components name their source")


def test_a_name_on_a_checkpoint_is_no_witness(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    auditor: FileSigner = keys.signer("auditor")
    with place.ledger(writable=True) as log:
        log.countersign("auditor", auditor)
    claimed = gather_facts(place, NOW)
    assert (claimed.ledger.witnesses, claimed.ledger.claimed) == ((), ("auditor",))
    assert not evidence(claimed, "witness").found
    assert "auditor" in evidence(claimed, "witness").text
    known = gather_facts(place, NOW, witnesses=[auditor.public, keys.signer("stranger").public])
    assert (known.ledger.witnesses, known.ledger.claimed) == (("auditor",), ())
    assert evidence(known, "witness").found
    own = gather_facts(place, NOW, witnesses=[operator().signer.public])
    assert not evidence(own, "witness").found


def test_a_witness_lends_its_name_to_no_other_key(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    auditor: FileSigner = keys.signer("auditor")
    with place.ledger(writable=True) as log:
        for signer in (auditor, keys.signer("stranger")):
            log.countersign("auditor", signer)
    found = gather_facts(place, NOW, witnesses=[auditor.public])
    assert (found.ledger.witnesses, found.ledger.claimed) == (("auditor",), ("auditor",))
