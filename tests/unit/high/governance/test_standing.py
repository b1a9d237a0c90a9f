"""What the gate gathers: who built and released, how old a word is, who is one holder (SPEC 4.5-11 to 4.5-13)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airlift.bundle.fields import format_time
from airlift.errors import QuorumError
from airlift.high.activation.activate import activate, roll_back
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.enclave import Enclave
from airlift.high.governance.approve import approve
from airlift.high.governance.consent import Consent
from airlift.high.governance.record_attestations import record_attestations
from airlift.high.governance.standing import judge_release
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.preview import plan_import
from airlift.low.bundle.publish import BundleResult
from airlift.trust.statements import predicates, statement
from tests.support import keys
from tests.support.depots import BUNDLER, NOW, Site
from tests.support.enclaves import attempt, enclave, fresh, operator, site, take, world
from tests.unit.high.governance.test_attestations import claim, counted, made, written

pytestmark = pytest.mark.usefixtures("quick_disk")

LATER = NOW + timedelta(days=91)


def ruled(place: Enclave, folder: Path, text: str, **holders: str) -> Enclave:
    """Put a policy in force; ``holders`` says whose key lies in a file, where it is not that of its name."""
    authored = folder / "rules"
    authored.mkdir(exist_ok=True)
    names = {
        "issm": "issm",
        "owner": "owner",
        "scanner": "scanner",
        "machine": BUNDLER,
        "erin": "erin",
    } | holders
    for file, whose in names.items():
        (authored / f"{file}.pub").write_bytes(keys.signer(whose).public.pem())
    (authored / "policy.yaml").write_text(f"airlift: 2\nenclave: alpha\n{text}")
    change_policy(place, authored / "policy.yaml", operator=operator())
    return place


def said(place: Enclave, name: str, **more: object) -> None:
    approve(place, "assistant@1", signer=keys.signer(name), operator=operator(), **more)  # type: ignore[arg-type]


def objections(place: Enclave, bundle: BundleResult) -> list[str]:
    planned = plan_import(place, [item.path for item in bundle.volumes], NOW)
    return [item["message"] for item in planned.objections]


def bring(
    place: Enclave, low: Site, output: str, now: datetime = NOW, reference: str = "assistant@1"
) -> None:
    bundle = low.bundle(reference, output, now=now, from_="none")
    import_bundle(place, [item.path for item in bundle.volumes], operator=operator(now))


# -- bars ----------------------------------------------------------------------------------------------------------

APPROVALS = "attestations: {approval: {threshold: 2, keys: [issm.pub, owner.pub, machine.pub, erin.pub]}}\n"


@pytest.mark.parametrize(("role", "name"), [("build", "machine"), ("release", "erin")])
def test_who_made_a_release_may_not_approve_it(tmp_path: Path, role: str, name: str) -> None:
    place = ruled(enclave("fresh", tmp_path), tmp_path, f"{APPROVALS}bar: [[{role}, approval]]\n")
    take(place, "full")
    signer = keys.signer(BUNDLER if name == "machine" else name)
    result = approve(place, "assistant@1", signer=signer, operator=operator())
    assert (result.approvals, result.left_out) == (0, (f"bar [{role}, approval] leaves out {name}",))
    said(place, "issm")
    with pytest.raises(QuorumError, match=rf"bar \[{role}, approval\] leaves out {name}") as caught:
        activate(place, "assistant@1", operator=operator())
    assert (caught.value.expected, caught.value.found) == (
        "2",
        f"1; bar [{role}, approval] leaves out {name}",
    )
    assert "airlift high approve assistant@1" in (caught.value.hint or "")
    said(place, "owner")
    assert activate(place, "assistant@1", operator=operator()).active == "assistant@1"


def test_without_a_bar_they_may(tmp_path: Path) -> None:
    place = ruled(enclave("fresh", tmp_path), tmp_path, APPROVALS)
    take(place, "full")
    for name in (BUNDLER, "erin"):
        said(place, name)
    assert activate(place, "assistant@1", operator=operator()).active == "assistant@1"


def test_another_key_of_whoever_released_it_is_theirs(tmp_path: Path) -> None:
    """The root calls the holder of a release key erin, and policy has another key in a file of that name."""
    text = "attestations: {approval: {threshold: 1, keys: [Erin.pub]}}\nbar: [[release, approval]]\n"
    place = ruled(enclave("fresh", tmp_path), tmp_path, text, Erin="laptop")
    take(place, "full")
    said(place, "laptop")
    with pytest.raises(QuorumError, match="leaves out Erin/erin"):
        activate(place, "assistant@1", operator=operator())


def test_two_keys_of_one_holder_are_one_voice(tmp_path: Path) -> None:
    """The key that the root gives to erin lies in the policy as officer.pub, and another one of hers as erin.pub."""
    text = "attestations: {approval: {threshold: 2, keys: [officer.pub, erin.pub, issm.pub]}}\n"
    place = ruled(enclave("fresh", tmp_path), tmp_path, text, officer="erin", erin="laptop")
    take(place, "full")
    for name in ("erin", "laptop"):
        said(place, name)
    release = place.state().installed[0]
    assert counted(place, release) == {"approval": 1}
    said(place, "laptop", reject=True)
    assert counted(place, release) == {"approval": 0}
    for name in ("laptop", "issm"):
        said(place, name)
    assert activate(place, "assistant@1", operator=operator()).active == "assistant@1"


def test_one_person_does_not_scan_and_approve(tmp_path: Path) -> None:
    text = (
        "attestations:\n  scan: {threshold: 1, keys: [issm.pub, scanner.pub]}\n"
        "  approval: {threshold: 1, keys: [issm.pub, owner.pub]}\nbar: [[scan, approval]]\n"
    )
    place = ruled(enclave("fresh", tmp_path), tmp_path, text)
    take(place, "full")
    release = place.state().installed[0]
    said(place, "issm")
    record_attestations(place, [written(tmp_path, made("scan", "issm", release))], operator=operator())
    with pytest.raises(QuorumError, match=r"bar \[scan, approval\], and both by issm") as caught:
        activate(place, "assistant@1", operator=operator())
    assert caught.value.expected == "1 for approval and 1 for scan, different holders"
    record_attestations(place, [written(tmp_path, made("scan", "scanner", release))], operator=operator())
    assert activate(place, "assistant@1", operator=operator()).active == "assistant@1"


def test_a_bundle_that_comes_in_is_judged_with_whoever_built_it(tmp_path: Path) -> None:
    text = "attestations: {scan: {threshold: 1, keys: [machine.pub, scanner.pub]}}\nbar: [[build, scan]]\n"
    low = site(tmp_path)
    place = ruled(fresh(tmp_path / "new", low), tmp_path, text)
    claim(low, "scan", BUNDLER)
    self_made = low.bundle("assistant@1", "self-made")
    assert objections(place, self_made) == [
        "the release lacks scan attestations: bar [build, scan] leaves out machine"
    ]
    attempt(place, [item.path for item in self_made.volumes], QuorumError, 6, activate=True)
    claim(low, "scan", "scanner")
    scanned = low.bundle("assistant@1", "scanned")
    assert objections(place, scanned) == []
    paths = [item.path for item in scanned.volumes]
    assert import_bundle(place, paths, operator=operator(), activate=True).activated


def test_a_roll_back_is_judged_too(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    ruled(
        place,
        tmp_path,
        "attestations: {approval: {threshold: 1, keys: [erin.pub]}}\nbar: [[release, approval]]\n",
    )
    said(place, "erin")
    with pytest.raises(QuorumError):
        roll_back(place, operator=operator())


def test_a_revoked_key_counts_for_nothing(tmp_path: Path) -> None:
    place = ruled(enclave("fresh", tmp_path), tmp_path, APPROVALS)
    take(place, "full")
    for name in ("issm", "owner"):
        said(place, name)
    state, revoked = place.state(), (keys.signer("issm").public.key_id,)
    standing = judge_release(place, state, state.installed[0], NOW, revoked=revoked)
    assert [holder.name for count in standing.counts for holder in count.holders] == ["owner"]


# -- age -----------------------------------------------------------------------------------------------------------

AGED = "attestations: {approval: {threshold: 1, keys: [issm.pub], expires_after_days: 90}}\n"


def test_an_approval_expires_and_is_renewed(tmp_path: Path) -> None:
    place = ruled(enclave("fresh", tmp_path), tmp_path, AGED)
    take(place, "full")
    said(place, "issm")
    with pytest.raises(QuorumError, match=r"1 expired \(issm\)") as caught:
        activate(place, "assistant@1", operator=operator(LATER), dry_run=True)
    assert (caught.value.expected, caught.value.found) == ("1", "0; 1 expired (issm)")
    renewed = approve(place, "assistant@1", signer=keys.signer("issm"), operator=operator(LATER))
    assert (renewed.approvals, renewed.left_out) == (1, ())
    assert activate(place, "assistant@1", operator=operator(LATER)).active == "assistant@1"


def test_a_clock_that_stands_still_makes_nothing_younger(tmp_path: Path) -> None:
    """A newer bundle of a trusted key tells the time as well as the clock (SPEC 7.2-3)."""
    low = site(tmp_path)
    place = ruled(fresh(tmp_path / "new", low), tmp_path, AGED)
    bring(place, low, "first")
    said(place, "issm")
    activate(place, "assistant@1", operator=operator(), dry_run=True)
    bring(place, low, "second", LATER, "assistant@2")
    for clock in (NOW, datetime(1990, 1, 1, tzinfo=UTC)):
        with pytest.raises(QuorumError, match="1 expired"):
            activate(place, "assistant@1", operator=operator(clock), dry_run=True)


def test_a_word_from_the_future_is_of_now(tmp_path: Path) -> None:
    place = ruled(enclave("fresh", tmp_path), tmp_path, AGED)
    take(place, "full")
    approve(place, "assistant@1", signer=keys.signer("issm"), operator=operator(LATER))
    assert activate(place, "assistant@1", operator=operator()).active == "assistant@1"


def test_what_gives_no_time_is_as_old_as_the_bundles(tmp_path: Path) -> None:
    """A scan without a time, carried in every bundle, would be young for ever."""
    text = "attestations: {scan: {threshold: 1, keys: [scanner.pub], expires_after_days: 90}}\n"
    low = site(tmp_path)
    place = ruled(fresh(tmp_path / "new", low), tmp_path, text)
    claim(low, "scan", "scanner")
    bring(place, low, "first")
    activate(place, "assistant@1", operator=operator(LATER - timedelta(days=1)), dry_run=True)
    with pytest.raises(QuorumError, match="1 expired"):
        activate(place, "assistant@1", operator=operator(LATER), dry_run=True)
    bring(place, low, "again", LATER)
    with pytest.raises(QuorumError, match="1 expired"):
        activate(place, "assistant@1", operator=operator(LATER), dry_run=True)
    release = place.state().installed[0]
    fresh_scan = written(tmp_path, made("scan", "scanner", release, note="another"))
    record_attestations(place, [fresh_scan], operator=operator(LATER))
    assert activate(place, "assistant@1", operator=operator(LATER)).active == "assistant@1"


def test_what_was_withdrawn_is_not_brought_back_by_carrying_it_again(tmp_path: Path) -> None:
    """Broke: a bundle that carried the approval once more made it the last word."""
    text = "attestations: {approval: {threshold: 1, keys: [issm.pub]}}\n"
    low = site(tmp_path)
    place = ruled(fresh(tmp_path / "new", low), tmp_path, text)
    claim(low, "approval", "issm")
    bring(place, low, "first")
    assert counted(place, place.state().installed[0]) == {"approval": 1}
    said(place, "issm", reject=True)
    bring(place, low, "again")
    assert counted(place, place.state().installed[0]) == {"approval": 0}
    said(place, "issm")
    assert counted(place, place.state().installed[0]) == {"approval": 1}


# -- verdicts of others --------------------------------------------------------------------------------------------


def test_verdicts_of_others_are_counted(tmp_path: Path) -> None:
    text = "attestations: {evaluation: {threshold: 1, keys: [scanner.pub], expires_after_days: 90}}\n"
    place = ruled(enclave("fresh", tmp_path), tmp_path, text)
    take(place, "full")
    release = place.state().installed[0]
    summary = {
        "verifier": {"id": "https://example.com/v"}, "timeVerified": format_time(NOW - timedelta(days=91)),
        "resourceUri": "urn:x", "policy": {"uri": "urn:y"}, "verificationResult": "PASSED", "verifiedLevels": [],
    }  # fmt: skip
    result = {"verifier": {"id": "urn:v"}, "timeCreated": format_time(NOW), "properties": []}
    for kind, predicate, passes, count in (
        (predicates.SVR, result, False, 0),
        (predicates.VSA, summary, True, 0),  # it passes, and has expired
        (predicates.SVR, result | {"properties": ["EVALUATED"]}, True, 1),
    ):
        item = statement.attest([("x", release)], kind, predicate, keys.signer("scanner"))
        (told,) = record_attestations(place, [written(tmp_path, item)], operator=operator()).attestations
        assert (told.kind, told.passes) == ("evaluation", passes)
        assert counted(place, release) == {"evaluation": count}


# -- the bypass ----------------------------------------------------------------------------------------------------


def test_the_bypass_takes_two_holders_not_two_keys(tmp_path: Path) -> None:
    text = "attestations: {approval: {threshold: 2, keys: [officer.pub, erin.pub, issm.pub]}}\n"
    place = ruled(enclave("one", tmp_path), tmp_path, text, officer="erin", erin="laptop")
    long_after = NOW + timedelta(days=400)

    def word(*names: str) -> Consent:
        return Consent("snowed in", [keys.signer(name) for name in names])

    alone, paths = word("erin", "laptop"), world().bundles["delta"]
    error = attempt(place, paths, QuorumError, 6, operator=operator(long_after), emergency=alone)
    assert (error.expected, error.found) == ("2", "1")
    assert take(place, "delta", operator=operator(long_after), emergency=word("erin", "issm")).installed
