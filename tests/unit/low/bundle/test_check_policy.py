"""A depot's policy at work: what is not bundled, why, and the command that helps (SPEC L4.15)."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airlift.errors import QuorumError
from airlift.high.activation.change_policy import change_policy as set_enclave_policy
from airlift.high.governance.standing import judge_release
from airlift.high.importing.import_bundle import import_bundle
from airlift.low.bundle.protect import protect
from airlift.low.depot import attestation_index, policy
from airlift.low.release.attest import import_attestation
from airlift.trust.statements import dsse, predicates, statement
from tests.support import keys
from tests.support.depots import BUNDLER, NOW, Site
from tests.support.enclaves import fresh, operator, picture, site
from tests.unit.high.governance.test_attestations import claim, written

pytestmark = pytest.mark.usefixtures("quick_disk")

APPROVALS = "attestations: {approval: {threshold: 2, keys: [issm.pub, owner.pub, machine.pub, erin.pub]}}\n"
DAY = timedelta(days=1)


@pytest.fixture
def low(tmp_path: Path) -> Site:
    return site(tmp_path)


def ruled(low: Site, text: str, **holders: str) -> None:
    """Put a depot's policy in force; ``holders`` says whose key lies in a file, where it is not that of its name."""
    authored = low.folder / "rules"
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
    (authored / "policy.yaml").write_text(f"airlift: 1\n{text}")
    policy.set_policy(low.depot, authored / "policy.yaml", now=NOW)


def refused(low: Site, **more: Any) -> QuorumError:
    """Bundle and expect that policy is against it, and that nothing came of it."""
    before = picture(low.folder / "depot")
    with pytest.raises(QuorumError) as caught:
        low.bundle("assistant@1", "refused", **more)
    after = picture(low.folder / "depot")
    assert {k: v for k, v in after.items() if k != "lock"} == {k: v for k, v in before.items() if k != "lock"}
    assert not (low.folder / "refused").exists()
    return caught.value


def test_what_lacks_is_told_with_the_command(low: Site) -> None:
    ruled(low, APPROVALS)
    claim(low, "approval", "issm")
    claim(low, "approval", "owner", verdict="fail")
    error = refused(low)
    assert (error.exit_code, error.code, error.expected, error.found) == (6, "quorum-unmet", "2", "1")
    assert error.hint == (
        "`airlift low attest assistant@1 --type approval --predicate FILE.json --key KEY`, "
        "with the private key of one of: erin.pub, issm.pub, machine.pub, owner.pub"
    )
    assert refused(low, dry_run=True).code == "quorum-unmet"
    claim(low, "approval", "erin")
    assert low.bundle("assistant@1", "enough").volumes
    assert not low.bundle("assistant@1", "enough-again", dry_run=True).volumes


def test_another_release_has_attestations_of_its_own(low: Site) -> None:
    ruled(low, APPROVALS)
    for name in ("issm", "owner"):
        claim(low, "approval", name, "assistant@2")
    refused(low)
    assert low.bundle("assistant@2", "two").volumes


def test_all_objections_are_told(low: Site) -> None:
    ruled(
        low,
        "attestations:\n  scan: {threshold: 1, keys: [scanner.pub]}\n  custody: {threshold: 1, keys: [issm.pub]}\n",
    )
    told = refused(low).data["objections"]
    assert [item["code"] for item in told] == ["quorum-unmet"] * 2


@pytest.mark.parametrize(("role", "name"), [("build", BUNDLER), ("release", "erin")])
def test_who_makes_it_may_not_approve_it(low: Site, role: str, name: str) -> None:
    ruled(low, f"{APPROVALS}bar: [[{role}, approval]]\n")
    for who in ("issm", name):
        claim(low, "approval", who)
    assert f"bar [{role}, approval] leaves out {name}" in refused(low).message
    claim(low, "approval", "owner")
    assert low.bundle("assistant@1", "enough").volumes


def test_two_keys_of_one_holder_are_one_voice(low: Site) -> None:
    ruled(low, APPROVALS, owner="erin", erin="laptop")
    for who in ("erin", "laptop"):
        claim(low, "approval", who)
    assert refused(low).found == "1"


def test_one_person_does_not_scan_and_approve(low: Site) -> None:
    ruled(
        low,
        "attestations:\n  scan: {threshold: 1, keys: [issm.pub, scanner.pub]}\n"
        "  approval: {threshold: 1, keys: [issm.pub]}\nbar: [[scan, approval]]\n",
    )
    for kind in ("scan", "approval"):
        claim(low, kind, "issm")
    assert "bar [scan, approval], and both by issm" in refused(low).message
    claim(low, "scan", "scanner")
    assert low.bundle("assistant@1", "enough").volumes


def test_who_builds_it_may_not_have_released_it(low: Site) -> None:
    """The root calls the holder of the bundler's key machine, and policy has dan's key in a file of that name."""
    ruled(
        low,
        "attestations: {scan: {threshold: 1, keys: [machine.pub]}}\nbar: [[build, release]]\n",
        machine="dan",
    )
    claim(low, "scan", "dan")
    assert "built the release and released it: bar [build, release]" in refused(low).message


@pytest.mark.parametrize(
    ("time", "counts"),
    [
        ("2026-11-21T12:00:00Z", True),
        ("2026-10-22T12:00:00Z", True),
        ("2026-10-22T11:59:59Z", False),
        (None, False),
    ],
)
def test_an_approval_expires(low: Site, time: str | None, counts: bool) -> None:
    ruled(low, "attestations: {approval: {threshold: 1, keys: [issm.pub], expires_after_days: 30}}\n")
    claim(low, "approval", "issm", **({"time": time} if time else {}))
    if counts:
        assert low.bundle("assistant@1", "fresh").volumes
    else:
        error = refused(low)
        assert "1 expired (issm)" in error.message
        assert 'FILE.json must say when, as "time"' in (error.hint or "")


def test_a_word_that_was_taken_back_while_it_was_coded(low: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ruled(low, "attestations: {approval: {threshold: 1, keys: [issm.pub]}}\n")
    claim(low, "approval", "issm")

    def regretting(*given: Any, **more: Any) -> Any:
        claim(low, "approval", "issm", verdict="fail")
        return protect(*given, **more)

    monkeypatch.setattr("airlift.low.bundle.make_bundle.protect", regretting)
    with pytest.raises(QuorumError):
        low.bundle("assistant@1", "late")
    assert list((low.folder / "late").glob("*")) == []


def test_a_line_under_a_known_key_that_is_false_counts_for_nothing(low: Site) -> None:
    ruled(low, "attestations: {scan: {threshold: 1, keys: [scanner.pub]}}\n")
    digest = low.depot.find_release("assistant@1").digest
    own = predicates.own_type("scan")
    item = statement.attest([("x", digest)], own, {"verdict": "pass"}, keys.signer("scanner"))
    false = replace(item.envelope.signatures[0], keyid=keys.signer("erin").public.key_id)
    spoilt = dsse.format(replace(item.envelope, signatures=(*item.envelope.signatures, false)))
    path = written(low.folder, statement.parse(spoilt))
    import_attestation(low.depot, "assistant@1", path, now=NOW)
    refused(low)
    import_attestation(low.depot, "assistant@1", written(low.folder, item), now=NOW)
    assert low.bundle("assistant@1", "good").volumes


def test_the_enclave_counts_alike(low: Site, tmp_path: Path) -> None:
    """What a depot lets go is enough for an enclave with the same rules, and what it keeps is not."""
    rules = (
        "attestations:\n  scan: {threshold: 1, keys: [scanner.pub, machine.pub]}\n"
        "  approval: {threshold: 2, keys: [issm.pub, owner.pub, machine.pub, erin.pub], expires_after_days: 30}\n"
        "bar: [[build, scan, approval], [release, approval]]\n"
    )
    place, moment = fresh(tmp_path / "new", low), "2026-11-20T12:00:00Z"
    release = low.depot.find_release("assistant@1").digest
    for step, (kind, name) in enumerate(
        [
            ("scan", BUNDLER),
            ("approval", "erin"),
            ("approval", "issm"),
            ("approval", "owner"),
            ("scan", "scanner"),
        ]
    ):
        claim(low, kind, name, time=moment)
        carried = sent(low, rules, f"step-{step}", NOW + step * DAY)
        import_bundle(place, carried[0], operator=operator(NOW + step * DAY))
        (low.folder / "rules" / "policy.yaml").write_text(f"airlift: 2\nenclave: alpha\n{rules}")
        set_enclave_policy(place, low.folder / "rules" / "policy.yaml", operator=operator())
        standing = judge_release(place, place.state(), release, NOW)
        met = all(standing.is_met(kind) for kind in ("scan", "approval"))
        assert met == carried[1] == (step == 4)
    assert len(attestation_index.load(low.depot, release)) == 6


def sent(low: Site, rules: str, output: str, now: datetime) -> tuple[list[Path], bool]:
    """Return the volumes of a bundle made without policy, and whether it would have been made with it."""
    ruled(low, rules)
    try:
        low.bundle("assistant@1", "tried", now=now, from_="none", dry_run=True)
        allowed = True
    except QuorumError:
        allowed = False
    ruled(low, "")
    return [item.path for item in low.bundle("assistant@1", output, now=now, from_="none").volumes], allowed
