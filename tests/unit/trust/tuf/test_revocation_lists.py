"""Who changes what is revoked: the release authority adds, root lifts; nothing leaves the list before (5.4-4)."""

import dataclasses
from pathlib import Path

import pytest

from airlift import strict
from airlift.bundle import revocations
from airlift.bundle.revocations import Revocation, Subject
from airlift.errors import DigestError, FormatTooNewError, MalformedError, PendingError, RefusedError
from airlift.trust.tuf import (
    change,
    change_file,
    proposal,
    publication,
    revocation_lists,
    roles,
    root,
    targets,
)
from airlift.trust.tuf.metadata_store import MetadataStore
from airlift.trust.tuf.proposal import Beside
from tests.support import keys
from tests.support.depots import NOW, RELEASERS, ROOTS, Site, signed_site

HOLE = Revocation("component", "c" * 128, "a hole", 1, "vulnerability")
THEFT = Revocation("key", "d" * 64, "stolen", 2, "compromise")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return signed_site(tmp_path)


@pytest.fixture
def store(site: Site) -> MetadataStore:
    """A depot in which both are revoked."""
    propose(site, HOLE, THEFT)
    sign(site.depot.store, "targets", *RELEASERS[:2])
    assert listed(site.depot.store) == {HOLE, THEFT}
    return site.depot.store


def propose(
    site: Site, *entries: Revocation, lift: tuple[Subject, ...] = (), beside: Beside = Beside.refuse
) -> tuple[str, ...]:
    data = revocations.format(tuple(sorted(entries)))
    site.depot.documents.keep(data)
    target = targets.describe("revocations", "targets", data, {})
    return proposal.propose_revocations(site.depot.store, target, NOW, lift=lift, beside=beside)


def sign(store: MetadataStore, role: str, *names: str) -> bool:
    return publication.sign(store, role, [keys.signer(name) for name in names], NOW).published


def listed(store: MetadataStore) -> set[Revocation]:
    return set(revocations.parse(store.revocations(store.published("targets")) or b""))


def lifted(store: MetadataStore) -> frozenset[Subject]:
    return root.lifted(store.published("root"))


def test_a_list_is_published_at_the_threshold_of_the_release_authority(site: Site) -> None:
    assert propose(site, HOLE) == ("targets",)
    assert not sign(site.depot.store, "targets", "dan")
    assert listed(site.depot.store) == set()
    assert sign(site.depot.store, "targets", "erin")
    assert listed(site.depot.store) == {HOLE}


def test_what_leaves_the_list_is_published_with_the_root_that_lifts_it(
    site: Site, store: MetadataStore
) -> None:
    assert propose(site, THEFT, lift=(HOLE.subject,)) == ("targets", "root")
    sign(store, "targets", *RELEASERS[:2])
    status = publication.status(store, "targets")
    assert status is not None
    assert (status.missing, status.waits_for) == (0, "root")
    sign(store, "root", "alice")
    assert (listed(store), lifted(store)) == ({HOLE, THEFT}, frozenset())
    sign(store, "root", "bob")
    assert (listed(store), lifted(store)) == ({THEFT}, frozenset({HOLE.subject}))
    assert publication.status(store, "targets") is None


def test_root_may_lift_before_the_list_says_so(site: Site, store: MetadataStore) -> None:
    propose(site, THEFT, lift=(HOLE.subject,))
    sign(store, "root", *ROOTS[:2])
    assert (listed(store), lifted(store)) == ({HOLE, THEFT}, frozenset({HOLE.subject}))
    sign(store, "targets", *RELEASERS[:2])
    assert listed(store) == {THEFT}


@pytest.mark.parametrize("entries", [(THEFT,), (THEFT, dataclasses.replace(HOLE, serial=3)), ()])
def test_what_no_root_lifts_is_not_signed(
    site: Site, store: MetadataStore, entries: tuple[Revocation, ...]
) -> None:
    """Another serial number of the same thing is another revocation."""
    propose(site, *entries)
    with pytest.raises(RefusedError, match="no root lifts it"):
        sign(store, "targets", "dan")
    with pytest.raises(RefusedError):
        change_file.sign_change(exported(site), [keys.signer("dan")])
    status = publication.status(store, "targets")
    assert status is not None
    assert status.signatures == 0


def test_what_no_root_lifts_is_never_published_whoever_signed_it(site: Site, store: MetadataStore) -> None:
    """As if members had signed with another program."""
    propose(site, THEFT)
    pending = store.pending("targets")
    assert pending is not None
    for name in RELEASERS:
        pending = roles.sign(pending, keys.signer(name))
    assert not publication.merge(store, "targets", pending).published
    assert publication.settle(store) == ()
    propose_lift(site, THEFT.subject)
    sign(store, "root", *ROOTS[:2])
    assert listed(store) == {HOLE, THEFT}, "root lifted another one"
    propose_lift(site, HOLE.subject)
    sign(store, "root", *ROOTS[:2])
    assert listed(store) == {THEFT}


def propose_lift(site: Site, subject: Subject) -> None:
    store = site.depot.store
    base = store.published("root")
    store.write_pending(
        "root", change.with_members(base, base["signed"]["version"] + 1, {}, NOW, lift=(subject,))
    )


def test_a_list_that_is_not_named_any_more_is_empty(site: Site, store: MetadataStore) -> None:
    bare = store.published("targets")
    del bare["signed"]["targets"]["revocations"]
    bare["signed"]["version"] += 1
    store.write_pending("targets", {**bare, "signatures": []})
    with pytest.raises(RefusedError):
        sign(store, "targets", "dan")
    assert len([line for line in publication.differences(store, "targets") if "no longer" in line]) == 2


def test_what_root_lifts_stays_when_keys_are_rotated(site: Site, store: MetadataStore) -> None:
    propose(site, THEFT, lift=(HOLE.subject,))
    sign(store, "root", *ROOTS[:2])
    proposal.propose_rotation(store, "root", add=(), remove=(), threshold=3, now=NOW)
    assert not any("lifted" in line for line in publication.differences(store, "root"))
    sign(store, "root", *ROOTS)
    assert lifted(store) == {HOLE.subject}
    assert root.lifted(store.raw("root", 3)) == {HOLE.subject}
    assert root.lifted(store.raw("root", 1)) == frozenset()


# -- beside another change -------------------------------------------------------------------------------------------


def test_a_revocation_joins_a_pending_change_only_if_that_is_said(site: Site, store: MetadataStore) -> None:
    made = targets.describe("release-" + "a" * 64, "targets", b"a release", {})
    proposal.propose_target(store, made, NOW)
    sign(store, "targets", "dan")
    entries = (HOLE, THEFT, Revocation("file", "f" * 128, "bad", 3))
    with pytest.raises(PendingError):
        propose(site, *entries)
    propose(site, *entries, beside=Beside.join)
    pending = store.pending("targets")
    assert pending is not None
    assert (pending["signatures"], pending["signed"]["version"]) == ([], 3)
    assert made.name in targets.listed(pending, "targets")
    assert sign(store, "targets", *RELEASERS[:2])
    assert listed(store) == set(entries)
    assert made.name in targets.listed(store.published("targets"), "targets")


def test_a_revocation_may_take_the_place_of_a_pending_change(site: Site, store: MetadataStore) -> None:
    made = targets.describe("release-" + "a" * 64, "targets", b"a release", {})
    proposal.propose_target(store, made, NOW)
    propose(site, HOLE, THEFT, beside=Beside.replace)
    pending = store.pending("targets")
    assert pending is not None
    assert made.name not in targets.listed(pending, "targets")


def test_lifting_joins_a_pending_rotation_of_root(site: Site, store: MetadataStore) -> None:
    proposal.propose_rotation(store, "root", add=(), remove=(), threshold=1, now=NOW)
    with pytest.raises(PendingError):
        propose(site, THEFT, lift=(HOLE.subject,))
    assert store.pending("targets") is None, "half of a change was proposed"
    propose(site, THEFT, lift=(HOLE.subject,), beside=Beside.join)
    sign(store, "root", *ROOTS[:2])
    assert roles.of(store.published("root"), "root").threshold == 1
    assert lifted(store) == {HOLE.subject}


# -- what people see -------------------------------------------------------------------------------------------------


def test_signers_see_what_is_revoked_and_what_is_lifted(site: Site, store: MetadataStore) -> None:
    new = dataclasses.replace(THEFT, reason="sold")
    file = Revocation("file", "f" * 128, "bad", 3)
    propose(site, new, file, lift=(HOLE.subject,))
    pending = store.pending("targets")
    assert pending is not None
    told = publication.describe(store, "targets", pending, {"f" * 128: "guard@2/rules.txt"})[3:]
    assert told == [
        f"no longer listed as revoked: component (digest {'c' * 32}), serial 1",
        f"revoked: file guard@2/rules.txt (digest {'f' * 32}), serial 3, other: bad",
        f"revocation changed: key (key id {'d' * 32}), serial 2, compromise: sold",
    ]
    assert f"revocation lifted: component (digest {'c' * 32}), serial 1" in publication.differences(
        store, "root"
    )
    lines = change_file.change_differences(exported(site))
    assert lines == publication.differences(store, "targets")


def test_what_root_does_not_lift_any_more_is_told(site: Site, store: MetadataStore) -> None:
    propose(site, THEFT, lift=(HOLE.subject,))
    old = store.pending("root")
    assert old is not None
    assert revocation_lists.lifted_differences(old, store.published("root"), {}) == [
        f"no longer lifted, revoked again: component (digest {'c' * 32}), serial 1"
    ]


# -- other machines --------------------------------------------------------------------------------------------------


def exported(site: Site) -> bytes:
    store = site.depot.store
    pending = store.pending("targets")
    data = store.revocations(pending)
    return change_file.export_change(store, "targets", {} if data is None else {"revocations": data})


def edited(data: bytes, **fields: object) -> bytes:
    document = {**strict.parse(data, limit=1 << 24), **fields}
    return strict.format({key: value for key, value in document.items() if value is not None})


def test_a_list_is_signed_on_other_machines(site: Site, store: MetadataStore) -> None:
    propose(site, THEFT, lift=(HOLE.subject,))
    data = exported(site)
    assert data.startswith(b'{"airlift":2,')
    signed = change_file.sign_change(data, [keys.signer(name) for name in RELEASERS[:2]])
    assert not change_file.merge_change(store, signed).published
    signed = change_file.sign_change(
        change_file.export_change(store, "root", {}), [keys.signer(name) for name in ROOTS[:2]]
    )
    assert change_file.merge_change(store, signed).published
    assert listed(store) == {THEFT}


def test_a_file_without_the_published_list_is_not_signed(site: Site, store: MetadataStore) -> None:
    """It would not tell what leaves the list; earlier versions wrote no other files."""
    propose(site, HOLE, THEFT, Revocation("file", "f" * 128, "bad", 3))
    bare = edited(exported(site), airlift=1, revocations=None)
    assert change_file.parse(bare).listed is None
    for act in (change_file.change_differences, lambda data: change_file.sign_change(data, [])):
        with pytest.raises(DigestError, match="missing"):
            act(bare)


def test_the_published_list_in_a_file_is_the_one_that_was_signed(site: Site, store: MetadataStore) -> None:
    propose(site, HOLE, THEFT, Revocation("file", "f" * 128, "bad", 3))
    data = exported(site)
    for fields, error in (
        ({"revocations": "YWJj"}, DigestError),
        ({"revocations": 1}, MalformedError),
        ({"airlift": 1}, MalformedError),
        ({"revocations": None}, MalformedError),
        ({"airlift": 3}, FormatTooNewError),
        ({"pending": store.published("targets")}, MalformedError),
        ({"published": None}, MalformedError),
    ):
        with pytest.raises(error):
            change_file.parse(edited(data, **fields))


def test_without_documents_a_changed_list_is_not_judged(site: Site, store: MetadataStore) -> None:
    propose(site, HOLE, THEFT, Revocation("file", "f" * 128, "bad", 3))
    with pytest.raises(DigestError, match="missing"):
        sign(MetadataStore(store.folder), "targets", "dan")
