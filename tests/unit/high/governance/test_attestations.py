"""Attestations from the depot to the quorum: signed, carried, recorded, counted."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airlift.bundle import volume
from airlift.errors import (
    DigestError,
    InventoryError,
    KeyUnavailableError,
    LedgerError,
    MalformedError,
    NotHeldError,
    QuorumError,
    RefusedError,
    SignatureError,
    UsageError,
)
from airlift.high.activation.activate import activate
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.enclave import Enclave
from airlift.high.governance import attestations as held
from airlift.high.governance.approve import approve
from airlift.high.governance.record_attestations import record_attestations as attest_high
from airlift.high.governance.standing import judge_release
from airlift.high.importing.import_bundle import import_bundle
from airlift.low.depot import attestation_index
from airlift.low.depot.events import read_events
from airlift.low.listing import listing
from airlift.low.release.attest import Claim, attest
from airlift.low.release.attest import import_attestation as take_in
from airlift.trust.statements import dsse, predicates, statement
from airlift.trust.statements.statement import Attestation
from tests.support import keys
from tests.support.depots import BUNDLER, NOW, Site
from tests.support.enclaves import (
    attempt,
    enclave,
    flip,
    fresh,
    operator,
    overwrite,
    picture,
    reseal,
    site,
    take,
)

pytestmark = pytest.mark.usefixtures("quick_disk")

PEOPLE = ("scanner", "issm", "owner")
POLICY = """airlift: 1
enclave: alpha
attestations:
  scan: {threshold: 1, keys: [scanner.pub]}
  approval: {threshold: 2, keys: [issm.pub, owner.pub]}
"""


def predicate(folder: Path, **claim: Any) -> Path:
    path = folder / "claim.json"
    path.write_text(json.dumps({"verdict": "pass", **claim}))
    return path


def claim(low: Site, kind: str, name: str, release: str = "assistant@1", **more: Any) -> str:
    path = predicate(low.folder, **more)
    result = attest(low.depot, release, Claim(kind, path), signer=keys.signer(name), now=NOW)
    return result.attestation


def demanding(place: Enclave, folder: Path) -> Enclave:
    """Put a policy in force that asks for a scan and two approvals."""
    keys.write(folder / "policy", *PEOPLE)
    (folder / "policy" / "policy.yaml").write_text(POLICY)
    change_policy(place, folder / "policy" / "policy.yaml", operator=operator())
    return place


def counted(place: Enclave, release: str) -> dict[str, int]:
    """Return how many holders count for each kind that policy asks for."""
    standing = judge_release(place, place.state(), release, NOW)
    return {count.kind: len(count.holders) for count in standing.counts}


def made(kind: str, name: str, subject: str, **more: Any) -> Attestation:
    return statement.attest(
        [("x", subject)], predicates.own_type(kind), {"verdict": "pass", **more}, keys.signer(name)
    )


def written(folder: Path, item: Attestation, name: str = "a.json") -> Path:
    (folder / name).write_bytes(item.data)
    return folder / name


# -- low -----------------------------------------------------------------------------------------------------------


def test_attest_keeps_and_logs(tmp_path: Path) -> None:
    low = site(tmp_path)
    digest = claim(low, "scan", "scanner", score=0.5)
    release = low.depot.find_release("assistant@1").digest
    (kept,) = [item for item in attestation_index.load(low.depot, release) if item.digest == digest]
    assert kept.statement.predicate == {"verdict": "pass", "score": 0.5}
    assert read_events(low.depot)[-1].detail["attestation"] == digest


def test_a_listing_tells_what_was_attested(tmp_path: Path) -> None:
    low = site(tmp_path)
    claim(low, "scan", "scanner")
    claim(low, "approval", "issm", verdict="fail")
    first, *others = listing(low.depot).releases
    assert first.attestations[-2:] == ("scan passes", "approval does not pass")
    assert {word for item in (first, *others) for word in item.attestations[:1]} <= {
        "provenance",
        "scan passes",
    }


def test_a_dry_run_keeps_nothing(tmp_path: Path) -> None:
    low = site(tmp_path)
    before, path = picture(low.folder / "depot"), predicate(low.folder)
    said = Claim("scan", path)
    attest(low.depot, "assistant@1", said, signer=keys.signer("scanner"), now=NOW, dry_run=True)
    assert picture(low.folder / "depot") == before


def test_taken_in_from_elsewhere_once(tmp_path: Path) -> None:
    low = site(tmp_path)
    release = low.depot.find_release("assistant@1").digest
    path = written(tmp_path, made("scan", "stranger", release))
    assert not take_in(low.depot, "assistant@1", path, now=NOW).already
    before = picture(low.folder / "depot")
    assert take_in(low.depot, "assistant@1", path, now=NOW).already
    assert {k: v for k, v in picture(low.folder / "depot").items() if k != "lock"} == {
        k: v for k, v in before.items() if k != "lock"
    }
    with pytest.raises(UsageError):
        take_in(low.depot, "assistant@2", path, now=NOW)
    with pytest.raises(NotHeldError):
        take_in(low.depot, "assistant@9", path, now=NOW)


def test_a_claim_without_verdict_or_json_is_refused(tmp_path: Path) -> None:
    low = site(tmp_path)
    for text, error in (("{}", UsageError), ("{", MalformedError)):
        (tmp_path / "claim.json").write_text(text)
        with pytest.raises(error):
            attest(
                low.depot,
                "assistant@1",
                Claim("scan", tmp_path / "claim.json"),
                signer=keys.signer("x"),
                now=NOW,
            )


def test_no_more_than_a_bundle_carries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    low = site(tmp_path)
    monkeypatch.setattr(attestation_index, "MAX_ATTESTATIONS", 4)
    claim(low, "scan", "scanner")
    with pytest.raises(UsageError):
        claim(low, "scan", "scanner", note="another")
    low.bundle("assistant@1", "full-house")


def test_a_damaged_index_is_no_index(tmp_path: Path) -> None:
    low = site(tmp_path)
    claim(low, "scan", "scanner")
    path = low.folder / "depot" / attestation_index.INDEX
    overwrite(path, path.read_bytes().replace(b'"depot-attestations"', b'"depot-something"'))
    with pytest.raises(MalformedError):
        attestation_index.load(low.depot, "0" * 128)


# -- carried -------------------------------------------------------------------------------------------------------


def test_a_bundle_carries_how_it_and_its_release_were_made(tmp_path: Path) -> None:
    low = site(tmp_path)
    scan = claim(low, "scan", "scanner")
    bundle = low.bundle("assistant@1", "again")
    place = fresh(tmp_path / "new", low)
    import_bundle(place, [item.path for item in bundle.volumes], operator=operator())
    with place.ledger() as record:
        commit = record.last("import-commit")
    assert commit is not None
    listed = {(item["kind"], item["subject"]): item for item in commit.detail["attestations"]}
    release = low.depot.find_release("assistant@1").digest
    assert set(listed) == {("scan", release), ("provenance", release), ("provenance", bundle.digest)}
    assert listed["scan", release]["sha512"] == scan
    assert listed["scan", release]["signers"] == []  # nobody has named the scanner here
    machine = keys.signer(BUNDLER).public.key_id
    assert listed["provenance", bundle.digest]["signers"] == [machine]
    found = held.load_attestation(place, listed["provenance", bundle.digest]["sha512"]).statement.predicate
    definition = found["buildDefinition"]
    assert definition["resolvedDependencies"][0]["digest"]["sha512"] == release
    assert sum(definition["internalParameters"]["targetBytesByCodec"].values()) == bundle.target_bytes
    sources = held.load_attestation(place, listed["provenance", release]["sha512"]).statement.predicate
    assert [item["uri"] for item in sources["buildDefinition"]["resolvedDependencies"]] == [
        "file:base",
        "file:guard",
    ]
    assert sources["runDetails"]["metadata"]["finishedOn"] == "2026-11-21T12:00:00Z"


def test_the_provenance_of_a_release_is_made_once(tmp_path: Path) -> None:
    low = site(tmp_path)
    release = low.depot.find_release("assistant@1").digest
    before = attestation_index.load(low.depot, release)
    low.bundle("assistant@1", "again")
    assert attestation_index.load(low.depot, release) == before
    assert [item.statement.kind for item in before] == ["provenance"]


DIGEST = hashlib.sha512(b"{}").hexdigest()


def carried_path(folder: Path, digest: str) -> Path:
    return folder / volume.MANIFESTS / volume.manifest_name(digest)


@pytest.mark.parametrize(
    ("harm", "error"),
    [
        (lambda path: path.unlink(), InventoryError),
        (lambda path: flip(path, 40), DigestError),
        (lambda path: overwrite(carried_path(path.parents[1], DIGEST), b"{}"), InventoryError),
        (lambda path: overwrite(path.with_name("0" * 64 + ".json"), b"{}"), DigestError),
    ],
)
def test_a_carried_attestation_is_covered_by_the_bundler(tmp_path: Path, harm: Any, error: Any) -> None:
    low = site(tmp_path)
    digest = claim(low, "scan", "scanner")
    (item,) = low.bundle("assistant@1", "again").volumes
    place = fresh(tmp_path / "new", low)
    harm(carried_path(item.path, digest))
    reseal(item.path)
    attempt(place, [item.path], error, 3)


def test_an_attestation_about_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundler that is out of hand lists what is about another release."""
    low = site(tmp_path)
    stray = made("scan", "scanner", "b" * 128)
    monkeypatch.setattr("airlift.low.bundle.publish.provenance", lambda *_: (stray,))
    bundle = low.bundle("assistant@1", "odd")
    place = fresh(tmp_path / "new", low)
    attempt(place, [item.path for item in bundle.volumes], InventoryError, 3)


# -- counted -------------------------------------------------------------------------------------------------------


def test_a_quorum_is_counted_from_the_bundle_that_comes_in(tmp_path: Path) -> None:
    low = site(tmp_path)
    place = demanding(fresh(tmp_path / "new", low), tmp_path)
    for kind, name in (("scan", "scanner"), ("approval", "issm")):
        claim(low, kind, name)
    short = low.bundle("assistant@1", "short")
    attempt(place, [item.path for item in short.volumes], QuorumError, 6, activate=True)
    claim(low, "approval", "owner")
    full = low.bundle("assistant@1", "full-quorum")
    assert import_bundle(
        place, [item.path for item in full.volumes], operator=operator(), activate=True
    ).activated


def test_people_approve_and_a_scan_made_on_the_way_is_recorded(tmp_path: Path) -> None:
    place = demanding(enclave("fresh", tmp_path), tmp_path)
    take(place, "full")
    release = place.state().installed[0]
    with pytest.raises(QuorumError):
        activate(place, "assistant@1", operator=operator())
    (scan,) = attest_high(
        place, [written(tmp_path, made("scan", "scanner", release))], operator=operator()
    ).attestations
    assert (scan.subject, scan.signers, scan.passes, scan.already) == (
        "assistant@1",
        ("scanner",),
        True,
        False,
    )
    for name, count in (("issm", 1), ("issm", 1), ("owner", 2)):
        result = approve(place, "assistant@1", signer=keys.signer(name), operator=operator(), reason="ok")
        assert (result.approver, result.approvals, result.threshold) == (name, count, 2)
    assert activate(place, "assistant@1", operator=operator()).active == "assistant@1"


def test_a_refusal_withdraws_an_approval_and_counts_for_nothing(tmp_path: Path) -> None:
    place = demanding(enclave("fresh", tmp_path), tmp_path)
    take(place, "full")
    approve(place, "assistant@1", signer=keys.signer("issm"), operator=operator())
    result = approve(place, "assistant@1", signer=keys.signer("issm"), operator=operator(), reject=True)
    assert (result.approved, result.approvals) == (False, 0)
    assert approve(place, "assistant@1", signer=keys.signer("issm"), operator=operator()).approvals == 1


def test_a_failed_scan_is_no_scan(tmp_path: Path) -> None:
    place = demanding(enclave("fresh", tmp_path), tmp_path)
    take(place, "full")
    release = place.state().installed[0]
    paths = [
        written(tmp_path, made("scan", "scanner", release, verdict="fail"), "bad.json"),
        written(tmp_path, made("scan", "issm", release), "by-another.json"),
        written(tmp_path, made("custody", "scanner", release), "other-kind.json"),
    ]
    attest_high(place, paths, operator=operator())
    assert counted(place, release) == {"approval": 0, "scan": 0}


def test_of_statements_that_come_together_a_failed_one_wins(tmp_path: Path) -> None:
    low = site(tmp_path)
    place = demanding(fresh(tmp_path / "new", low), tmp_path)
    claim(low, "scan", "scanner", verdict="fail")
    claim(low, "scan", "scanner")
    bundle = low.bundle("assistant@1", "both")
    import_bundle(place, [item.path for item in bundle.volumes], operator=operator())
    assert counted(place, place.state().installed[0])["scan"] == 0


def test_approvals_by_others_are_refused(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    with pytest.raises(RefusedError):
        approve(place, "assistant@1", signer=keys.signer("issm"), operator=operator())
    demanding(place, tmp_path)
    with pytest.raises(RefusedError):
        approve(place, "assistant@1", signer=keys.signer("scanner"), operator=operator())
    with pytest.raises(NotHeldError):
        approve(place, "assistant@2", signer=keys.signer("issm"), operator=operator())


def test_nothing_is_recorded_unless_every_file_is_good(tmp_path: Path) -> None:
    place = demanding(enclave("one", tmp_path), tmp_path)
    release, size = place.state().installed[0], place.state().size
    good = written(tmp_path, made("scan", "scanner", release), "good.json")
    for item, error in (
        (made("scan", "scanner", "c" * 128), NotHeldError),
        (made("scan", "stranger", release), KeyUnavailableError),
    ):
        with pytest.raises(error):
            attest_high(place, [good, written(tmp_path, item, "bad.json")], operator=operator())
    assert place.state().size == size


def test_recorded_once_and_about_a_bundle_too(tmp_path: Path) -> None:
    place = demanding(enclave("one", tmp_path), tmp_path)
    committed = place.state().bundles[0]
    path = written(tmp_path, made("custody", "scanner", committed.manifest))
    (dry,) = attest_high(place, [path], operator=operator(), dry_run=True).attestations
    assert (dry.entry, dry.already) == (None, False)
    (first,) = attest_high(place, [path], operator=operator()).attestations
    (second,) = attest_high(place, [path], operator=operator()).attestations
    assert (first.subject, first.already, second.already) == (committed.bundle, False, True)
    assert second.entry == first.entry


def test_a_kept_envelope_that_was_changed_is_found(tmp_path: Path) -> None:
    place = demanding(enclave("one", tmp_path), tmp_path)
    approve(place, "assistant@1", signer=keys.signer("issm"), operator=operator())
    (item,) = [
        item for item in held.recorded_about(place, place.state().installed[0]) if item.kind == "approval"
    ]
    path = place.history.path(item.digest)
    data = path.read_bytes()
    overwrite(path, data.replace(b"keyid", b"keyif"))
    with pytest.raises(LedgerError):
        counted(place, place.state().installed[0])


def test_a_line_that_claims_a_known_key_falsely_stops_the_import_before_anything_is_installed(
    tmp_path: Path,
) -> None:
    low = site(tmp_path)
    place = demanding(fresh(tmp_path / "new", low), tmp_path)
    release = low.depot.find_release("assistant@1").digest
    take_in(low.depot, "assistant@1", written(tmp_path, falsified(release)), now=NOW)
    bundle = low.bundle("assistant@1", "false")
    before = place.state().size
    attempt(place, [item.path for item in bundle.volumes], SignatureError, 3)
    with place.ledger() as record:
        assert [entry.type for entry in record.entries(before)] == ["import-reject"]


def falsified(release: str) -> Attestation:
    """Return a scan by a stranger under the id of the scanner's key."""
    item = made("scan", "stranger", release)
    line = replace(item.envelope.signatures[0], keyid=keys.signer("scanner").public.key_id)
    return statement.parse(dsse.format(replace(item.envelope, signatures=(line,))))


def test_a_false_claim_that_was_recorded_before_its_key_was_known_locks_nobody_out(tmp_path: Path) -> None:
    """Broke: naming the key in a policy later made every judgement fail."""
    low = site(tmp_path)
    place = fresh(tmp_path / "new", low)
    release = low.depot.find_release("assistant@1").digest
    take_in(low.depot, "assistant@1", written(tmp_path, falsified(release)), now=NOW)
    import_bundle(place, [v.path for v in low.bundle("assistant@1", "false").volumes], operator=operator())
    demanding(place, tmp_path)
    assert counted(place, release) == {"approval": 0, "scan": 0}
    attest_high(place, [written(tmp_path, made("scan", "scanner", release))], operator=operator())
    assert counted(place, release)["scan"] == 1
