"""The depot's repository: propose, sign (here or elsewhere), publish, bundle; and an enclave that follows it."""

import hashlib
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tuf.api._payload import Root, Targets
from tuf.api.metadata import Metadata

from airlift import files, strict
from airlift.bundle import revocations
from airlift.bundle.revocations import Revocation
from airlift.errors import (
    AirliftError,
    DigestError,
    ExistsError,
    ExpiredError,
    KeyUnavailableError,
    MalformedError,
    NotHeldError,
    PendingError,
    SignatureError,
    StorageError,
    TrustStateError,
    UnpublishedError,
    UsageError,
)
from airlift.trust.keys.file import FileSigner, generate
from airlift.trust.keys.public import Signer
from airlift.trust.tuf import bundling, change, change_file, metadata, proposal, publication, targets
from airlift.trust.tuf.metadata_store import MetadataStore
from airlift.trust.tuf.roles import Member, RoleKeys
from airlift.trust.tuf.targets import Target
from airlift.trust.tuf.trusted_metadata import TrustedMetadata
from tests.support.trust_simulator import NOW, Enclave, Simulator, signer

REVOCATIONS = revocations.format(())
LISTS: dict[str, bytes] = {}
"""Lists of revocations by SHA-512: what a depot keeps among its documents."""

HOLE = Revocation("component", "c" * 128, "a hole", 1, "vulnerability")
MANIFEST = b'{"release":"assistant"}'


def release(data: bytes = MANIFEST, digit: str = "a") -> Target:
    return targets.describe("release-" + digit * 64, "targets", data, {})


def listing(*entries: Revocation) -> Target:
    """A target that lists these revocations; the list is kept."""
    data = revocations.format(tuple(sorted(entries)))
    LISTS[hashlib.sha512(data).hexdigest()] = data
    return targets.describe("revocations", "targets", data, {})


def open_store(folder: Path) -> MetadataStore:
    listing()
    return MetadataStore(folder, lambda sha512, _limit: LISTS[sha512])


def bundle(data: bytes = b"bundle", digit: str = "b") -> Target:
    return targets.describe("bundle-" + digit * 64, "bundler", data, {})


def member(name: str) -> Member:
    return Member(signer(name).public, name)


def quorum(*names: str, threshold: int = 2) -> RoleKeys:
    return RoleKeys(tuple(map(member, names)), threshold)


def signers(*names: str) -> list[FileSigner]:
    return [signer(name) for name in names]


ROOT_KEYS = quorum("root-1", "root-2", "root-3")
RELEASE_KEYS = quorum("release-1", "release-2", "release-3")


def create(
    folder: Path, bundler: RoleKeys | None = None, expires: dict[str, int] | None = None
) -> MetadataStore:
    store = open_store(folder / "depot")
    proposal.create(
        store,
        root=ROOT_KEYS,
        release=RELEASE_KEYS,
        bundler=bundler or quorum("bundler", threshold=1),
        expires=expires or {},
        now=NOW,
        revocations=REVOCATIONS,
    )
    return store


@pytest.fixture
def fresh(tmp_path: Path) -> MetadataStore:
    return create(tmp_path)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> MetadataStore:
    store = create(tmp_path_factory.mktemp("first"))
    publication.sign(store, "root", signers("root-1", "root-2"), NOW)
    publication.sign(store, "targets", signers("release-1", "release-2"), NOW)
    return store


@pytest.fixture
def depot(first: MetadataStore, tmp_path: Path) -> MetadataStore:
    return open_store(shutil.copytree(first.folder, tmp_path / "depot"))


def published_release(store: MetadataStore, target: Target | None = None) -> None:
    proposal.propose_target(store, target or release(), NOW)
    publication.sign(store, "targets", signers("release-1", "release-2"), NOW)


def enclave_of(store: MetadataStore, folder: Path) -> Enclave:
    return Enclave(store.raw("root", 1), folder)


def refresh(enclave: Enclave, store: MetadataStore) -> TrustedMetadata:
    return enclave.refresh(Simulator(files=dict(bundling.volume_files(store))))


# -- from nothing to a published release ---------------------------------------------------------------------------


def test_a_depot_starts_with_two_pending_changes(fresh: MetadataStore) -> None:
    assert fresh.newest("root") is None
    root, authority = publication.status(fresh, "root"), publication.status(fresh, "targets")
    assert root is not None
    assert authority is not None
    assert (root.version, root.signatures, root.threshold, root.missing) == (1, 0, 2, 2)
    assert (authority.version, authority.missing, authority.published) == (1, 2, False)
    with pytest.raises(UnpublishedError):
        fresh.published("root")
    with pytest.raises(ExistsError):
        proposal.create(
            fresh,
            root=ROOT_KEYS,
            release=RELEASE_KEYS,
            bundler=ROOT_KEYS,
            expires={},
            now=NOW,
            revocations=b"",
        )


def test_signatures_come_one_by_one(fresh: MetadataStore) -> None:
    one = publication.sign(fresh, "root", signers("root-3"), NOW)
    assert (one.signatures, one.missing, one.published, one.waits_for) == (1, 1, False, None)
    again = publication.sign(fresh, "root", signers("root-3"), NOW)
    assert again.signatures == 1
    two = publication.sign(fresh, "root", signers("root-1"), NOW)
    assert (two.signatures, two.missing, two.published) == (2, 0, True)
    assert two.key_ids == tuple(sorted(key.public.key_id for key in signers("root-1", "root-3")))
    assert publication.status(fresh, "root") is None


def test_targets_wait_for_the_first_root(fresh: MetadataStore) -> None:
    waiting = publication.sign(fresh, "targets", signers("release-1", "release-2"), NOW)
    assert (waiting.missing, waiting.published, waiting.waits_for) == (0, False, "root")
    assert fresh.newest("targets") is None
    publication.sign(fresh, "root", signers("root-1", "root-2"), NOW)
    assert fresh.newest("targets") is not None
    assert publication.status(fresh, "targets") is None


def test_what_is_published_is_what_tuf_accepts(depot: MetadataStore) -> None:
    root = Metadata[Root].from_bytes(depot.raw("root", 1))
    authority = Metadata[Targets].from_bytes(depot.raw("targets", 1))
    root.signed.verify_delegate("root", root.signed_bytes, root.signatures)
    root.signed.verify_delegate("targets", authority.signed_bytes, authority.signatures)
    assert root.signed.expires == NOW + timedelta(days=730)
    assert authority.signed.expires == NOW + timedelta(days=180)


def test_expiry_is_set_per_role(tmp_path: Path) -> None:
    store = create(
        tmp_path, expires={"release": 10, "bundler": 20, "root": 30, "snapshot": 40, "timestamp": 50}
    )
    publication.sign(store, "root", signers("root-1", "root-2"), NOW)
    publication.sign(store, "targets", signers("release-1", "release-2"), NOW)
    renew(store, signer("bundler"), NOW)
    committed = store.committed()
    assert committed is not None
    days = {role: (metadata.expiry_of(document) - NOW).days for role, document in committed.items()}
    assert days == {"targets": 10, "bundler": 20, "snapshot": 40, "timestamp": 50}


@pytest.mark.parametrize("expires", [{"root": 0}, {"root": 3651}, {"mirror": 5}])
def test_expiry_that_makes_no_sense(expires: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expiry"):
        create(tmp_path, expires=expires)


def test_members_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="twice"):
        quorum("root-1", "root-1")
    for threshold in (0, 3):
        with pytest.raises(UsageError, match="threshold"):
            quorum("root-1", "root-2", threshold=threshold)
    with pytest.raises(UsageError, match="too many"):
        RoleKeys(tuple(Member(generate("ecdsa-p384").public, "x") for _ in range(33)), 1)
    for holder in ("", "x" * 129, "a\nb", "a\u202eb"):
        with pytest.raises(UsageError, match="holder"):
            Member(signer("root-1").public, holder)
    with pytest.raises(UsageError, match="signs alone"):
        create(tmp_path, bundler=quorum("bundler", "bundler-2"))
    with pytest.raises(UsageError, match="two holders"):
        create(tmp_path, bundler=RoleKeys((Member(signer("root-1").public, "other"),), 1))


# -- pending changes -----------------------------------------------------------------------------------------------


def test_one_pending_change_per_role(depot: MetadataStore) -> None:
    proposal.propose_target(depot, release(), NOW)
    publication.sign(depot, "targets", signers("release-1"), NOW)
    with pytest.raises(PendingError):
        proposal.propose_target(depot, release(b"other", "c"), NOW)
    proposal.propose_target(depot, release(b"other", "c"), NOW, replace=True)
    status = publication.status(depot, "targets")
    assert status is not None
    assert (status.version, status.signatures) == (2, 0)
    published = publication.sign(depot, "targets", signers("release-1", "release-2"), NOW)
    assert published.published
    assert set(targets.listed(depot.published("targets"), "targets")) == {
        "revocations",
        "release-" + "c" * 64,
    }


def test_the_first_change_is_extended_when_replaced(fresh: MetadataStore) -> None:
    with pytest.raises(PendingError):
        proposal.propose_target(fresh, release(), NOW)
    document = proposal.propose_target(fresh, release(), NOW, replace=True)
    assert metadata.version_of(document) == 1
    assert set(document["signed"]["targets"]) == {"revocations", release().name}


def test_a_release_is_immutable_and_revocations_are_not(depot: MetadataStore) -> None:
    published_release(depot)
    with pytest.raises(ExistsError):
        proposal.propose_target(depot, release(b"other"), NOW)
    published_release(depot, listing(HOLE))
    assert targets.listed(depot.published("targets"), "targets")["revocations"] == listing(HOLE)
    with pytest.raises(MalformedError):
        proposal.propose_target(depot, bundle(), NOW)


def test_only_members_sign(depot: MetadataStore) -> None:
    proposal.propose_target(depot, release(), NOW)
    with pytest.raises(KeyUnavailableError, match="no member"):
        publication.sign(depot, "targets", signers("release-1", "root-1"), NOW)
    status = publication.status(depot, "targets")
    assert status is not None
    assert status.signatures == 0
    with pytest.raises(UsageError, match="no change"):
        publication.sign(depot, "root", signers("root-3"), NOW)
    with pytest.raises(UsageError, match="no change"):
        publication.sign(depot, "root", [], NOW)
    with pytest.raises(UsageError, match="no change"):
        publication.differences(depot, "root")


def test_documents_are_rechecked_before_signing(depot: MetadataStore) -> None:
    proposal.propose_target(depot, release(), NOW)
    with pytest.raises(DigestError, match="missing"):
        publication.sign(depot, "targets", signers("release-1"), NOW, {})
    with pytest.raises(DigestError):
        publication.sign(depot, "targets", signers("release-1"), NOW, {release().name: MANIFEST + b" "})
    publication.sign(depot, "targets", signers("release-1"), NOW, {release().name: MANIFEST})


def test_a_change_that_expired_while_pending(depot: MetadataStore) -> None:
    proposal.propose_target(depot, release(), NOW)
    with pytest.raises(ExpiredError):
        publication.sign(depot, "targets", signers("release-1"), NOW + timedelta(days=181))


def test_signers_see_what_changes(depot: MetadataStore) -> None:
    first = change.differences("root", None, depot.published("root"))
    assert "root metadata version: none -> 1" in first
    assert f"root key added: root-1 (ml-dsa-87, fingerprint {signer('root-1').public.fingerprint})" in first
    assert "release threshold: none -> 2 of 3" in first
    assert "root metadata is valid for: none -> 730 days" in first
    proposal.propose_target(depot, release(), NOW + timedelta(days=1))
    lines = publication.differences(depot, "targets")
    assert lines[0] == "release metadata version: 1 -> 2"
    assert lines[1] == "expires: 2027-05-20T12:00:00Z -> 2027-05-21T12:00:00Z"
    assert lines[2].startswith(f"target added: {release().name} (23 bytes, SHA-512 {release().sha512})")
    proposal.propose_rotation(
        depot, "root", add=[member("root-4")], remove=[signer("root-1").public.key_id], threshold=3, now=NOW
    )
    lines = publication.differences(depot, "root")
    assert any(line.startswith("root key removed: root-1") for line in lines)
    assert any(line.startswith("root key added: root-4") for line in lines)
    assert "root threshold: 2 of 3 -> 3 of 3" in lines
    new = depot.published("targets")
    new["signed"]["targets"] = {"revocations": release(b"x").entry()}
    lines = change.differences("targets", depot.pending("targets"), new)
    assert f"target removed: {release().name}" in lines
    assert any(line.startswith("target changed: revocations") for line in lines)


def test_a_pending_change_never_blocks_bundling(depot: MetadataStore, tmp_path: Path) -> None:
    enclave = enclave_of(depot, tmp_path)
    published_release(depot)
    proposal.propose_target(depot, release(b"other", "c"), NOW)
    proposal.propose_rotation(depot, "root", add=[member("root-4")], remove=[], threshold=None, now=NOW)
    bundling.publish_bundle(depot, bundle(), 1, signer("bundler"), NOW)
    trusted = refresh(enclave, depot)
    assert trusted.target(release().name) == release()


# -- rotation ------------------------------------------------------------------------------------------------------


def key_id(name: str) -> str:
    return signer(name).public.key_id


def renew(store: MetadataStore, by: Signer, now: datetime) -> None:
    """Sign fresh metadata that lists the same bundles."""
    bundling.list_bundles(store, bundling.outstanding(store), by, now)


def rotate(store: MetadataStore, role: str, add: str, remove: str) -> tuple[str, ...]:
    return proposal.propose_rotation(
        store, role, add=[member(add)], remove=[key_id(remove)], threshold=None, now=NOW
    )


def test_a_root_rotation_needs_old_and_new_members(depot: MetadataStore, tmp_path: Path) -> None:
    enclave = enclave_of(depot, tmp_path)
    proposal.propose_rotation(
        depot,
        "root",
        add=[member("root-4"), member("extra")],
        remove=[key_id("root-1"), key_id("root-2")],
        threshold=None,
        now=NOW,
    )
    status = publication.sign(depot, "root", signers("root-1", "root-2"), NOW)
    assert (status.signatures, status.missing, status.published) == (2, 2, False)
    status = publication.sign(depot, "root", signers("root-3"), NOW)
    assert (status.signatures, status.missing) == (3, 1)
    assert publication.sign(depot, "root", signers("extra"), NOW).published
    renew(depot, signer("bundler"), NOW)
    assert refresh(enclave, depot).versions["root"] == 2


def test_new_members_alone_cannot_take_over(depot: MetadataStore) -> None:
    """THREATS: arbitrary install (a root that its own new members would sign, and the old ones did not)."""
    proposal.propose_rotation(
        depot,
        "root",
        add=[member("root-4"), member("extra")],
        remove=[key_id("root-1"), key_id("root-2")],
        threshold=None,
        now=NOW,
    )
    status = publication.sign(depot, "root", signers("root-3", "root-4", "extra"), NOW)
    assert (status.signatures, status.missing, status.published) == (3, 1, False)


def test_a_release_rotation_that_leaves_enough_signatures_is_root_alone(depot: MetadataStore) -> None:
    assert rotate(depot, "release", "release-4", "release-3") == ("root",)
    assert publication.sign(depot, "root", signers("root-1", "root-2"), NOW).published


def test_a_release_rotation_has_targets_signed_anew(depot: MetadataStore, tmp_path: Path) -> None:
    enclave = enclave_of(depot, tmp_path)
    assert rotate(depot, "release", "release-4", "release-1") == ("root", "targets")
    status = publication.sign(depot, "root", signers("root-1", "root-2"), NOW)
    assert (status.missing, status.published, status.waits_for) == (0, False, "targets")
    with pytest.raises(KeyUnavailableError):
        publication.sign(depot, "targets", signers("root-1"), NOW)
    assert not publication.sign(depot, "targets", signers("release-4"), NOW).published
    assert publication.sign(depot, "targets", signers("release-2"), NOW).published
    assert publication.status(depot, "root") is None
    renew(depot, signer("bundler"), NOW)
    assert refresh(enclave, depot).versions["targets"] == 2


def test_a_bundler_rotation_is_published_whole(depot: MetadataStore, tmp_path: Path) -> None:
    enclave = enclave_of(depot, tmp_path)
    bundling.publish_bundle(depot, bundle(), 1, signer("bundler"), NOW)
    refresh(enclave, depot)
    assert rotate(depot, "bundler", "bundler-2", "bundler") == ("root", "targets")
    assert publication.sign(depot, "targets", signers("release-1", "release-2"), NOW).waits_for == "root"
    renew(depot, signer("bundler"), NOW)  # the old key still works
    assert publication.sign(depot, "root", signers("root-1", "root-2"), NOW).published
    assert refresh(enclave, depot).versions["root"] == 1
    with pytest.raises(KeyUnavailableError):
        renew(depot, signer("bundler"), NOW)
    renew(depot, signer("bundler-2"), NOW)
    trusted = refresh(enclave, depot)
    assert trusted.bundler_key_ids == (key_id("bundler-2"),)
    assert trusted.target(bundle().name) == bundle()


def test_a_bundler_rotation_needs_both_roles_free(depot: MetadataStore) -> None:
    proposal.propose_target(depot, release(), NOW)
    with pytest.raises(PendingError):
        rotate(depot, "bundler", "bundler-2", "bundler")
    assert depot.pending("root") is None


def test_rotations_that_make_no_sense(depot: MetadataStore, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown role"):
        rotate(depot, "snapshot", "bundler-2", "bundler")
    with pytest.raises(UsageError, match="no member"):
        rotate(depot, "root", "root-4", "bundler")
    with pytest.raises(UsageError, match="twice"):
        rotate(depot, "root", "root-2", "root-1")
    with pytest.raises(UnpublishedError, match="no root metadata"):
        rotate(MetadataStore(tmp_path / "nothing"), "root", "root-4", "root-1")


# -- other machines ------------------------------------------------------------------------------------------------


def exported(store: MetadataStore) -> bytes:
    proposal.propose_target(store, release(), NOW)
    return change_file.export_change(
        store, "targets", {release().name: MANIFEST, "release-" + "0" * 64: b"unused"}
    )


def test_a_change_is_signed_on_other_machines(depot: MetadataStore) -> None:
    data = exported(depot)
    assert change_file.change_differences(data) == publication.differences(depot, "targets")
    first = change_file.sign_change(data, signers("release-1"))
    second = change_file.sign_change(data, signers("release-3"))
    status = change_file.merge_change(depot, first)
    assert (status.signatures, status.published) == (1, False)
    assert change_file.merge_change(depot, second).published
    assert change_file.merge_change(depot, first).published, "merging once more is already so"


def test_a_root_is_signed_on_other_machines(fresh: MetadataStore) -> None:
    first = change_file.export_change(fresh, "root", {})
    assert change_file.merge_change(
        fresh, change_file.sign_change(first, signers("root-1", "root-2"))
    ).published
    rotate(fresh, "root", "root-4", "root-1")
    data = change_file.sign_change(
        change_file.export_change(fresh, "root", {}), signers("root-1", "root-2", "root-4")
    )
    assert change_file.merge_change(fresh, data).published


def test_a_signer_elsewhere_checks_documents_and_membership(depot: MetadataStore) -> None:
    data = exported(depot)
    with pytest.raises(KeyUnavailableError):
        change_file.sign_change(data, signers("root-1"))
    for documents, kind in (({}, DigestError), ({release().name: "YWJj"}, DigestError)):
        with pytest.raises(kind):
            change_file.sign_change(edited(data, documents=documents), signers("release-1"))
    with pytest.raises(DigestError):
        change_file.export_change(depot, "targets", {})
    with pytest.raises(UsageError):
        change_file.export_change(depot, "root", {})


def edited(data: bytes, **fields: object) -> bytes:
    return strict.format({**strict.parse(data, limit=1 << 24), **fields})


def test_signatures_from_elsewhere_must_be_good(depot: MetadataStore) -> None:
    data = exported(depot)
    pending = strict.parse(data, limit=1 << 24)["pending"]
    for bad in (
        [{"keyid": key_id("release-1"), "sig": "00" * 4627}],
        [{"keyid": key_id("root-1"), "sig": "00"}],
    ):
        with pytest.raises(SignatureError):
            change_file.merge_change(depot, edited(data, pending={**pending, "signatures": bad}))
    status = publication.status(depot, "targets")
    assert status is not None
    assert status.signatures == 0


def test_only_the_change_that_is_pending_is_merged(depot: MetadataStore) -> None:
    data = change_file.sign_change(exported(depot), signers("release-1", "release-2"))
    proposal.propose_target(depot, release(b"other", "c"), NOW, replace=True)
    with pytest.raises(PendingError, match="not hold the change"):
        change_file.merge_change(depot, data)


@pytest.mark.parametrize(
    "fields",
    [
        {"airlift": 0},
        {"airlift": 2},
        {"revocations": ""},
        {"airlift": 2, "revocations": ""},
        {"kind": "receipt"},
        {"role": "snapshot"},
        {"role": "root"},
        {"roots": []},
        {"roots": [{}]},
        {"roots": [{}, {}, {}]},
        {"pending": {}},
        {"published": 1},
        {"documents": {"../x": ""}},
        {"documents": {"revocations": "?"}},
        {"documents": {"revocations": "YWJj\n"}},
        {"documents": {"revocations": "YWI"}},
        {"documents": {"revocations": "YWJ="}},
        {"documents": {"revocations": "YWK="}},
        {"documents": {"revocations": 1}},
        {"extra": 1},
    ],
)
def test_a_change_file_is_parsed_strictly(fields: dict[str, object], depot: MetadataStore) -> None:
    data = edited(exported(depot), **fields)
    if fields == {"documents": {"revocations": "YWJ="}}:
        data = edited(data, documents={"revocations": "YWJ"})
    with pytest.raises(AirliftError) as caught:
        change_file.parse(data)
    assert caught.value.exit_code == 3


# -- bundling ------------------------------------------------------------------------------------------------------


def test_bundles_follow_each_other(depot: MetadataStore, tmp_path: Path) -> None:
    assert bundling.sequence_of(depot) == 0
    assert bundling.outstanding(depot) == {}
    bundling.publish_bundle(depot, bundle(), 1, signer("bundler"), NOW)
    bundling.publish_bundle(depot, bundle(b"two", "c"), 7, signer("bundler"), NOW)
    assert bundling.sequence_of(depot) == 7
    assert set(bundling.outstanding(depot)) == {bundle().name, bundle(digit="c").name}
    for sequence in (7, 1):
        with pytest.raises(ExistsError, match="was used"):
            bundling.publish_bundle(depot, bundle(b"3", "d"), sequence, signer("bundler"), NOW)
    with pytest.raises(ExistsError, match="other content"):
        bundling.publish_bundle(depot, bundle(b"other"), 8, signer("bundler"), NOW)
    trusted = refresh(enclave_of(depot, tmp_path), depot)
    assert trusted.sequence == 7
    assert trusted.versions["timestamp"] == 7


def test_a_bundle_is_withdrawn(depot: MetadataStore) -> None:
    bundling.publish_bundle(depot, bundle(), 1, signer("bundler"), NOW)
    with pytest.raises(NotHeldError):
        bundling.withdraw(depot, bundle(digit="c").name, signer("bundler"), NOW)
    bundling.withdraw(depot, bundle().name, signer("bundler"), NOW)
    assert bundling.outstanding(depot) == {}
    assert bundling.sequence_of(depot) == 1


def test_renewal_takes_up_new_targets_and_fresh_expiry(depot: MetadataStore, tmp_path: Path) -> None:
    enclave = enclave_of(depot, tmp_path)
    bundling.publish_bundle(depot, bundle(), 1, signer("bundler"), NOW)
    published_release(depot)
    assert refresh(enclave, depot).target(release().name) is None
    renew(depot, signer("bundler"), NOW + timedelta(days=5))
    trusted = refresh(enclave, depot)
    assert trusted.target(release().name) == release()
    assert trusted.expires["timestamp"] == "2027-05-25T12:00:00Z"


def test_only_the_bundler_bundles_release_names_are_not_its_own(depot: MetadataStore) -> None:
    with pytest.raises(KeyUnavailableError):
        bundling.publish_bundle(depot, bundle(), 1, signer("release-1"), NOW)
    with pytest.raises(MalformedError):
        bundling.publish_bundle(depot, release(), 1, signer("bundler"), NOW)
    with pytest.raises(UnpublishedError):
        bundling.volume_files(depot)


def test_nothing_is_bundled_before_root_and_targets_are_published(fresh: MetadataStore) -> None:
    with pytest.raises(UnpublishedError):
        renew(fresh, signer("bundler"), NOW)
    publication.sign(fresh, "root", signers("root-1", "root-2"), NOW)
    with pytest.raises(UnpublishedError):
        renew(fresh, signer("bundler"), NOW)


def test_nothing_is_bundled_with_expired_authority(depot: MetadataStore) -> None:
    with pytest.raises(ExpiredError, match="role targets"):
        renew(depot, signer("bundler"), NOW + timedelta(days=181))
    with pytest.raises(ExpiredError, match="role root"):
        renew(depot, signer("bundler"), NOW + timedelta(days=731))


def test_a_target_has_a_largest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "MAX_TARGET_BYTES", 3)
    assert release(b"123").length == 3
    with pytest.raises(MalformedError, match="too long"):
        release(b"1234")


def test_versions_end_somewhere(depot: MetadataStore) -> None:
    with pytest.raises(UsageError, match="is left"):
        bundling.publish_bundle(depot, bundle(), metadata.MAX_VERSION + 1, signer("bundler"), NOW)


def test_volumes_carry_the_whole_chain_of_roots(depot: MetadataStore) -> None:
    rotate(depot, "root", "root-4", "root-1")
    assert publication.sign(depot, "root", signers("root-1", "root-2", "root-4"), NOW).published
    renew(depot, signer("bundler"), NOW)
    assert sorted(bundling.volume_files(depot)) == [
        "1.bundler.json",
        "1.root.json",
        "1.snapshot.json",
        "1.targets.json",
        "2.root.json",
        "timestamp.json",
    ]


def test_a_depot_damaged_at_rest_makes_no_volume(depot: MetadataStore) -> None:
    renew(depot, signer("bundler"), NOW)
    path = depot.metadata / "1.bundler.json"
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data.replace(b'"x-airlift-sequence":0', b'"x-airlift-sequence":9'))
    with pytest.raises(SignatureError):
        bundling.volume_files(depot)


def test_a_gap_in_the_roots_is_noticed(depot: MetadataStore) -> None:
    (depot.metadata / "1.root.json").rename(depot.metadata / "3.root.json")
    with pytest.raises(TrustStateError, match="gap"):
        depot.newest("root")


@pytest.mark.parametrize("scheme", ["ml-dsa-87", "ecdsa-p384"])
def test_sizes_are_planned_at_their_largest(scheme: str, tmp_path: Path) -> None:
    key = signer("size", scheme)
    store = create(tmp_path, bundler=RoleKeys((Member(key.public, "size"),), 1))
    publication.sign(store, "root", signers("root-1", "root-2"), NOW)
    publication.sign(store, "targets", signers("release-1", "release-2"), NOW)
    for sequence in (1, 2, 9, 10, 11):
        planned = bundling.planned_sizes(store, bundle(digit=f"{sequence:x}"), sequence, key.public, NOW)
        bundling.publish_bundle(store, bundle(digit=f"{sequence:x}"), sequence, key, NOW)
        actual = {name: len(data) for name, data in bundling.volume_files(store).items()}
        assert planned.keys() == actual.keys()
        assert all(actual[name] <= planned[name] <= actual[name] + 16 for name in actual)


# -- crashes -------------------------------------------------------------------------------------------------------


class Crash(Exception):  # noqa: N818 - it is no error of airlift's
    pass


def finishes(action: Callable[[], object], after: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Let the first ``after`` durable writes and removals happen, and the next one end the process."""
    left = [after]

    def guard(real: Callable[..., None]) -> Callable[..., None]:
        def guarded(*args: object, **named: object) -> None:
            if left[0] == 0:
                raise Crash
            left[0] -= 1
            real(*args, **named)

        return guarded

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_durable", guard(files.write_durable))
        patch.setattr(files, "remove", guard(files.remove))
        try:
            action()
        except Crash:
            return False
    return True


ACTIONS: dict[str, Callable[[MetadataStore], object]] = {
    "bundle": lambda store: bundling.publish_bundle(store, bundle(b"two", "c"), 2, signer("bundler"), NOW),
    "renew": lambda store: renew(store, signer("bundler"), NOW + timedelta(days=1)),
    "sign": lambda store: publication.sign(store, "targets", signers("release-1", "release-2"), NOW),
    "both": lambda store: publication.sign(store, "root", signers("root-1", "root-2"), NOW),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_any_prefix_of_the_writes_leaves_the_old_or_the_new_state(
    action: str, depot: MetadataStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundling.publish_bundle(depot, bundle(), 1, signer("bundler"), NOW)
    if action == "both":
        rotate(depot, "bundler", "bundler-2", "bundler")
        publication.sign(depot, "targets", signers("release-1", "release-2"), NOW)
    elif action == "sign":
        proposal.propose_target(depot, release(), NOW)
    old = dict(bundling.volume_files(depot))
    for after in range(10):
        done = finishes(lambda: ACTIONS[action](depot), after, monkeypatch)
        found = dict(bundling.volume_files(depot))
        assert done or found == old, "the commit point is the last write"
        refresh(enclave_of(depot, tmp_path / str(after)), depot)
        if done:
            break
    else:
        pytest.fail("running the command again never finished")
    assert publication.settle(depot) == ()
    assert depot.pending("targets") is None
    if action == "bundle":
        assert bundling.sequence_of(depot) == 2
    if action == "both":
        assert depot.pending("root") is None
        renew(depot, signer("bundler-2"), NOW)
        assert refresh(enclave_of(depot, tmp_path / "end"), depot).versions["root"] == 2


def test_an_interrupted_start_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for after in range(2):
        assert not finishes(lambda: create(tmp_path), after, monkeypatch)
    store = create(tmp_path)
    assert publication.sign(store, "root", signers("root-1", "root-2"), NOW).published
    assert publication.sign(store, "targets", signers("release-1", "release-2"), NOW).published


def test_a_full_disk_while_proposing_changes_nothing(
    depot: MetadataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object, **_named: object) -> None:
        raise StorageError("full")

    monkeypatch.setattr(files, "write_durable", full)
    with pytest.raises(StorageError):
        proposal.propose_target(depot, release(), NOW)
    assert depot.pending("targets") is None
