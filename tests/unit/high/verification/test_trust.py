"""Trust on the high side: replay, expiry, clocks, roots, the state that was committed, and a stolen bundler key."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airlift.bundle import volume
from airlift.bundle.revocations import Revocation
from airlift.errors import (
    DigestError,
    ExpiredError,
    InventoryError,
    MalformedError,
    OvertakenError,
    QuorumError,
    ReplayError,
    RevokedError,
    SequenceReusedError,
    SignatureError,
    TrustStateError,
    UsageError,
    WrongEnclaveError,
)
from airlift.high.activation.activate import activate
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.status import enclave_status
from airlift.high.governance.consent import Consent
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.preview import plan_import
from airlift.low.authority.rotate import Rotation, rotate
from airlift.low.bundle.job import Destination
from airlift.low.bundle.renew import renew
from airlift.trust.keys.file import generate
from tests.support import forge, keys
from tests.support.depots import BUNDLER, NOW, RELEASERS, ROOTS, Site
from tests.support.enclaves import (
    V1,
    V3,
    attempt,
    enclave,
    flip,
    fresh,
    holds_release,
    operator,
    overwrite,
    picture,
    refused,
    reseal,
    site,
    take,
    volumes,
    world,
)

pytestmark = pytest.mark.usefixtures("quick_disk")

LONG_AFTER = NOW + timedelta(days=400)
EXPIRED_POLICY = """airlift: 1
enclave: alpha
attestations:
  approval: {threshold: 1, keys: [ann.pub, ben.pub]}
"""


# -- destination and order -----------------------------------------------------------------------------------------


def test_a_bundle_for_another_enclave(tmp_path: Path) -> None:
    """A bundle for another enclave: refused (6)."""
    attempt(enclave("fresh", tmp_path), world().bundles["bravo"], WrongEnclaveError, 6)


def test_a_bundle_below_the_minimum_sequence(tmp_path: Path) -> None:
    place = fresh(tmp_path / "late", world().site, minimum_sequence=2)
    attempt(place, world().bundles["full"], ReplayError, 3)


def test_an_overtaken_bundle(tmp_path: Path) -> None:
    """A bundle overtaken by a newer one installs while still listed, and is never activated by itself."""
    place = enclave("one", tmp_path)
    take(place, "next", activate=True)
    attempt(place, world().bundles["uncut"][:0] + world().bundles["delta"], OvertakenError, 6, activate=True)
    objections = plan_import(place, world().bundles["delta"], NOW).objections
    assert [item["code"] for item in objections] == ["overtaken"]
    result = take(place, "delta")
    assert (result.installed, result.overtaken, result.activated) == (True, True, False)
    assert holds_release(place, V3)
    attempt(place, world().bundles["delta"], OvertakenError, 6, activate=True)
    activate(place, "assistant@2", operator=operator())
    assert take(place, "delta", activate=True).activated, "it is active already"


def test_an_overtaken_bundle_that_was_withdrawn(tmp_path: Path) -> None:
    """An overtaken bundle that is no longer listed is a replay (3)."""
    place = enclave("one", tmp_path)
    take(place, "renewal")
    attempt(place, world().bundles["delta"], ReplayError, 3)


def test_a_sequence_number_used_twice(tmp_path: Path) -> None:
    """A sequence number used twice (3, ``sequence-reused``): a depot restored from an old copy.

    Broke: it was called a bad signature, because the restored depot reuses the versions of its metadata as well.
    """
    low, place = site(tmp_path), enclave("fresh", tmp_path)
    restored = Site(shutil.copytree(low.folder, tmp_path / "restored"))
    first = low.bundle("assistant@1", "first")
    second, third = (restored.bundle(f"assistant@{n}", f"out-{n}") for n in (2, 3))
    assert first.sequence == second.sequence
    import_bundle(place, [first.volumes[0].path], operator=operator())
    attempt(place, [second.volumes[0].path], SequenceReusedError, 3)
    assert import_bundle(place, [third.volumes[0].path], operator=operator()).installed
    attempt(place, [second.volumes[0].path], SequenceReusedError, 3)


def test_a_sequence_number_used_twice_by_a_stolen_key(tmp_path: Path) -> None:
    low, place = site(tmp_path), enclave("fresh", tmp_path)
    first = low.bundle("assistant@1", "first")
    import_bundle(place, [first.volumes[0].path], operator=operator())
    made = forge.describe(low, "assistant@1")
    evil = forge.publish(low, made, [], tmp_path / "evil")
    again = forge.relist(low, made, first.sequence, tmp_path / "again")
    import_bundle(place, evil, operator=operator())
    attempt(place, again, SequenceReusedError, 3)


# -- time ----------------------------------------------------------------------------------------------------------


def test_expired_metadata(tmp_path: Path) -> None:
    """Freeze: metadata that has expired is refused (6)."""
    attempt(
        enclave("fresh", tmp_path), world().bundles["full"], ExpiredError, 6, operator=operator(LONG_AFTER)
    )


def test_a_clock_in_2100(tmp_path: Path) -> None:
    """Clock in 2100: everything is refused, nothing is lost, and the right clock imports again."""
    place = enclave("one", tmp_path)
    future = datetime(2100, 1, 1, tzinfo=UTC)
    attempt(place, world().bundles["delta"], ExpiredError, 6, operator=operator(future))
    assert any("expired" in text for text in enclave_status(place, future).warnings)
    assert take(place, "delta").installed


def test_a_clock_in_1970(tmp_path: Path) -> None:
    """Clock in 1970: the newest committed bundle's issue time counts, and status tells of the clock."""
    place, past = enclave("fresh", tmp_path), datetime(1970, 1, 1, tzinfo=UTC)
    take(place, "full", operator=operator(past))
    assert any("clock" in text for text in enclave_status(place, past).warnings)
    assert take(place, "delta", operator=operator(past)).installed


def test_the_issue_time_of_a_bundle_is_a_floor_for_the_clock(tmp_path: Path) -> None:
    low, place = site(tmp_path), enclave("fresh", tmp_path)
    later = low.bundle("assistant@1", "later", now=NOW + timedelta(days=170))
    import_bundle(place, [later.volumes[0].path], operator=operator(NOW + timedelta(days=170)))
    stale = low.bundle("assistant@2", "stale", now=NOW)
    path = [stale.volumes[0].path]
    assert import_bundle(place, path, operator=operator(datetime(2000, 1, 1, tzinfo=UTC))).installed
    renewed = low.bundle("assistant@3", "renewed", now=NOW - timedelta(days=100))
    path = [renewed.volumes[0].path]
    attempt(place, path, ExpiredError, 6, operator=operator(datetime(2000, 1, 1, tzinfo=UTC)))


def test_a_stolen_bundler_key_cannot_lock_the_enclave_out(tmp_path: Path) -> None:
    """Broke: one bundle of a stolen key, issued in 2099, made all later metadata expire for ever."""
    low, place = site(tmp_path), enclave("one", tmp_path)
    made = forge.describe(low, "assistant@1", issued="2099-01-01T00:00:00Z")
    evil = forge.publish(low, made, [], tmp_path / "evil")
    assert import_bundle(place, evil, operator=operator()).installed
    attempt(place, world().bundles["step"], ExpiredError, 6)
    keys.write(low.keys, "other-machine")
    rotate(
        low.depot,
        Rotation("bundler", [low.keys / "other-machine.pub"], [str(low.keys / f"{BUNDLER}.pub")]),
        signers=[keys.signer(name) for name in (*ROOTS[:2], *RELEASERS[:2])],
        now=NOW,
    )
    fresh_metadata = renew(
        low.depot, Destination(tmp_path / "new"), signer=keys.signer("other-machine"), now=NOW
    )
    paths = [item.path for item in fresh_metadata.volumes]
    assert plan_import(place, paths, NOW).objections == ()
    assert import_bundle(place, paths, operator=operator()).installed


# -- the bypass ----------------------------------------------------------------------------------------------------


def approved(tmp_path: Path) -> Enclave:
    """Return an enclave whose policy knows Ann and Ben as approvers."""
    place = enclave("one", tmp_path)
    keys.write(tmp_path / "approvers", "ann", "ben")
    (tmp_path / "approvers" / "policy.yaml").write_text(EXPIRED_POLICY)
    change_policy(place, tmp_path / "approvers" / "policy.yaml", operator=operator())
    return place


def test_expired_metadata_on_the_word_of_two(tmp_path: Path) -> None:
    """The bypass takes two people whom policy lists, and is written to the ledger with their signatures."""
    place = approved(tmp_path)
    word = Consent("the courier was snowed in", [keys.signer("ann"), keys.signer("ben")])
    result = take(place, "delta", operator=operator(LONG_AFTER), emergency=word)
    assert result.installed
    with place.ledger() as log:
        commit = log.last("import-commit")
    assert commit is not None
    told = commit.detail["insecure_expired"]
    assert told["reason"] == word.reason
    assert set(told["signatures"]) == {keys.signer(name).public.key_id for name in ("ann", "ben")}
    statement = json.dumps(
        {"accept_expired": commit.detail["bundle_manifest"], "enclave": "alpha", "reason": word.reason},
        separators=(",", ":"),
        sort_keys=True,
    ).encode()
    for name in ("ann", "ben"):
        public = keys.signer(name).public
        public.verify(bytes.fromhex(told["signatures"][public.key_id]), statement)


@pytest.mark.parametrize("names", [("ann", "mallory"), ("mallory", "trudy")])
def test_expired_metadata_on_the_word_of_strangers(tmp_path: Path, names: tuple[str, str]) -> None:
    place = approved(tmp_path)
    word = Consent("please", [keys.signer(name) for name in names])
    attempt(place, world().bundles["delta"], QuorumError, 6, operator=operator(LONG_AFTER), emergency=word)


def test_expired_metadata_where_policy_knows_nobody(tmp_path: Path) -> None:
    word = Consent("please", [keys.signer("ann"), keys.signer("ben")])
    place = enclave("one", tmp_path)
    attempt(place, world().bundles["delta"], QuorumError, 6, operator=operator(LONG_AFTER), emergency=word)


@pytest.mark.parametrize(
    ("reason", "names"),
    [("why", ("ann",)), ("why", ("ann", "ann")), ("", ("ann", "ben")), ("a\nb", ("ann", "ben"))],
)
def test_a_bypass_that_is_none(reason: str, names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        Consent(reason, [keys.signer(name) for name in names])


def test_the_bypass_relaxes_nothing_else(tmp_path: Path) -> None:
    """With --insecure-expired, unsigned bundles are as unsigned as ever and are not even parsed (SPEC 2-2)."""
    place, paths = approved(tmp_path), volumes("delta", tmp_path)
    index = volume.parse_index((paths[0] / volume.INDEX).read_bytes())
    target = paths[0] / volume.MANIFESTS / volume.manifest_name(index.manifest)
    import hashlib

    data = b"this is no JSON"
    target.unlink()
    digest = hashlib.sha512(data).hexdigest()
    (target.with_name(volume.manifest_name(digest))).write_bytes(data)
    reseal(paths[0], manifest=digest)
    word = Consent("why", [keys.signer("ann"), keys.signer("ben")])
    attempt(place, paths, SignatureError, 3, emergency=word)
    with pytest.raises(SignatureError):
        plan_import(place, paths, NOW, expired_allowed=True)


# -- the state and the roots ---------------------------------------------------------------------------------------


def state_files(place: Enclave) -> list[Path]:
    trust = place.state().trust
    assert trust is not None
    return sorted((place.trust / trust.folder).iterdir())


def test_an_empty_trust_state(tmp_path: Path) -> None:
    """An empty trust state beside a full ledger is an error, never a fresh start (SPEC 7.6-1)."""
    place = enclave("one", tmp_path)
    shutil.rmtree(state_files(place)[0].parent)
    attempt(place, world().bundles["delta"], TrustStateError, 3)
    with pytest.raises(TrustStateError):
        enclave_status(place, NOW)


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_changed_trust_state(tmp_path: Path, number: int) -> None:
    place = enclave("one", tmp_path)
    flip(state_files(place)[number], -3)
    attempt(place, world().bundles["delta"], TrustStateError, 3)


def test_a_trust_state_of_yesterday(tmp_path: Path) -> None:
    """Rollback of the trust state to an older, well signed one."""
    place = enclave("two", tmp_path)
    old = state_files(enclave("one", tmp_path))
    for path, other in zip(state_files(place), old, strict=True):
        overwrite(path, other.read_bytes())
    attempt(place, world().bundles["next"], TrustStateError, 3)


def test_a_pinned_root_that_is_gone_or_another(tmp_path: Path) -> None:
    """The pinned root replaced by that of another depot, or taken away."""
    place = enclave("one", tmp_path)
    (root,) = place.roots.iterdir()
    flip(root, -30)
    attempt(place, world().bundles["delta"], TrustStateError, 3)
    other = generate()
    del other
    root.unlink()
    attempt(place, world().bundles["delta"], TrustStateError, 3)


def rotated(low: Site) -> None:
    """Publish a second root: another release key."""
    keys.write(low.keys, "gina")
    signers = [keys.signer(name) for name in ROOTS[:2]]
    rotate(low.depot, Rotation("release", [low.keys / "gina.pub"]), signers=signers, now=NOW)


def test_new_roots_are_kept_even_if_the_import_fails(tmp_path: Path) -> None:
    """A revocation of a key survives a failed import (SPEC 7.2-1)."""
    low, place = site(tmp_path), enclave("one", tmp_path)
    rotated(low)
    made = low.bundle("assistant@3", "out", from_="assistant@1")
    paths = [item.path for item in made.volumes]
    flip(next((paths[0] / volume.CHUNKS).iterdir()), 0)
    before = picture(place.folder)
    plan_import(place, paths, NOW)
    assert picture(place.folder) == before
    attempt(place, paths, DigestError, 3)
    assert sorted(path.name for path in place.roots.iterdir()) == ["1.root.json", "2.root.json"]
    assert take(place, "delta").installed


def test_a_missing_root_in_the_chain(tmp_path: Path) -> None:
    low, place = site(tmp_path), enclave("one", tmp_path)
    rotated(low)
    made = low.bundle("assistant@3", "out", from_="assistant@1")
    path = made.volumes[0].path
    (path / volume.METADATA / "2.root.json").unlink()
    reseal(path)
    attempt(place, [path], InventoryError, 3)


def test_metadata_under_threshold(tmp_path: Path) -> None:
    """Arbitrary install: targets metadata with one signature of two."""
    place, paths = enclave("fresh", tmp_path), volumes("uncut", tmp_path)
    target = next(
        path for path in (paths[0] / volume.METADATA).iterdir() if path.name.endswith("targets.json")
    )
    document = json.loads(target.read_bytes())
    document["signatures"] = document["signatures"][:1]
    overwrite(target, json.dumps(document).encode())
    reseal(paths[0])
    attempt(place, paths, DigestError, 3)


# -- revocations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["release", "component"])
def test_what_is_revoked_is_not_activated(tmp_path: Path, kind: str) -> None:
    """A revoked release or component is never activated (SPEC 5.4-1), not even by a roll back."""
    low, place = site(tmp_path), enclave("two", tmp_path)
    release = low.depot.load_release("assistant@1")
    digest = release.digest if kind == "release" else release.components[0].digest
    forge.revoke(low, Revocation(kind, digest, "a backdoor was found"))
    renewed = renew(low.depot, Destination(tmp_path / "renewal"), signer=keys.signer(BUNDLER), now=NOW)
    import_bundle(place, [item.path for item in renewed.volumes], operator=operator())
    with pytest.raises(RevokedError):
        activate(place, "assistant@1", operator=operator())
    with forge.heedless():
        again = low.bundle("assistant@1", "again")
    attempt(place, [item.path for item in again.volumes], RevokedError, 6, activate=True)
    assert import_bundle(place, [item.path for item in again.volumes], operator=operator()).installed


def test_a_stolen_bundler_key_cannot_unrevoke(tmp_path: Path) -> None:
    """A stolen bundler key may not replace the list of revocations by an older one."""
    low, place = site(tmp_path), enclave("one", tmp_path)
    old = forge.describe(low, "assistant@1").revocations
    forge.revoke(low, Revocation("release", "0" * 128, "reason"))
    paths = forge.publish(low, forge.describe(low, "assistant@1", revocations=old), [], tmp_path / "evil")
    attempt(place, paths, SignatureError, 3)


# -- a stolen bundler key ------------------------------------------------------------------------------------------


def test_a_stolen_bundler_key_cannot_add_a_release(tmp_path: Path) -> None:
    """Arbitrary install: a release that the authority did not sign."""
    low, place = site(tmp_path), enclave("one", tmp_path)
    name = low.depot.releases()[0]
    document = low.depot.documents.load(name.digest).replace(b'"version":"1"', b'"version":"9"')
    digest = forge.digest(document).sha512
    from airlift.bundle.manifest import ReleaseRef

    made = forge.describe(low, "assistant@1", target=ReleaseRef(digest, "assistant", "9"))
    documents = [low.depot.documents.load(made.revocations), document]
    paths = forge.publish(low, made, [], tmp_path / "evil", documents=documents)
    attempt(place, paths, SignatureError, 3)


def test_a_stolen_bundler_key_cannot_rename_a_release(tmp_path: Path) -> None:
    low, place = site(tmp_path), enclave("one", tmp_path)
    from dataclasses import replace

    made = forge.describe(low, "assistant@1")
    assert made.target is not None
    made = replace(made, target=replace(made.target, version="9"))
    attempt(place, forge.publish(low, made, [], tmp_path / "evil"), MalformedError, 3)


def test_a_stolen_bundler_key_cannot_add_a_file(tmp_path: Path) -> None:
    """Unlisted files: a bundle that rebuilds what is not part of the release."""
    low, place = site(tmp_path), enclave("fresh", tmp_path)
    data = b"import os"
    made = forge.describe(low, "assistant@1", files=[data])
    paths = forge.publish(low, made, forge.packed(forge.raw(0, 0, data)), tmp_path / "evil")
    attempt(place, paths, MalformedError, 3)


def test_a_bundle_that_is_not_listed(tmp_path: Path) -> None:
    """A bundle manifest that the bundler did not sign, in well signed metadata."""
    place, paths = enclave("one", tmp_path), volumes("delta", tmp_path)
    index = volume.parse_index((paths[0] / volume.INDEX).read_bytes())
    target = paths[0] / volume.MANIFESTS / volume.manifest_name(index.manifest)
    data = target.read_bytes().replace(b'"sequence":2', b'"sequence":9')
    target.unlink()
    digest = forge.digest(data).sha512
    target.with_name(volume.manifest_name(digest)).write_bytes(data)
    reseal(paths[0], manifest=digest)
    attempt(place, paths, SignatureError, 3)


def test_rejects_do_not_pile_up_in_the_way(tmp_path: Path) -> None:
    place = enclave("fresh", tmp_path)
    for _ in range(2):
        with refused(place, WrongEnclaveError, 6):
            take(place, "bravo")
    assert take(place, "full", activate=True).activated
    assert holds_release(place, V1)


def test_a_kept_root_that_is_damaged(tmp_path: Path) -> None:
    """A damaged root at rest is the enclave's trouble, not the medium's."""
    place = enclave("one", tmp_path)
    (place.roots / "notes.root.json").write_bytes(b"not ours to read")
    (place.roots / "2.root.json").write_bytes(b"{}")
    attempt(place, world().bundles["delta"], TrustStateError, 3)
    (place.roots / "2.root.json").unlink()
    assert take(place, "delta").installed
