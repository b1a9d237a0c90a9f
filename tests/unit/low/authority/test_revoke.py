"""Revoking on the low side: who may, at which threshold, beside what, and how it is taken back (SPEC 5.4)."""

from pathlib import Path

import pytest

from airlift.bundle import revocations
from airlift.bundle.revocations import Revocation, Subject
from airlift.errors import (
    KeyUnavailableError,
    NotHeldError,
    PendingError,
    RefusedError,
    RevokedError,
    UnpublishedError,
    UsageError,
)
from airlift.low.authority.revoke import Asked, RevokeResult, revoke
from airlift.low.authority.rotate import Rotation, rotate
from airlift.low.authority.sign import Transfer, sign
from airlift.low.depot import revoked
from airlift.low.depot.events import read_events
from airlift.low.release.make_release import make_release
from airlift.trust.tuf import proposal, root, targets
from airlift.trust.tuf.proposal import Beside
from tests.support import keys
from tests.support.depots import BUNDLER, NOW, RELEASERS, ROOTS, Site, copy_site, make_site, signed_site
from tests.support.weights import weights

GUARD = {"model.safetensors": weights(2), "rules.txt": b"be good"}
BOTH = {"base": {"model.safetensors": weights(1)}, "guard": GUARD}
WHY = "passes prompts in base64"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A depot with assistant@1, of base 1 and guard 1."""
    site = signed_site(tmp_path_factory.mktemp("released"))
    site.release(BOTH)
    return site


@pytest.fixture
def site(released: Site, tmp_path: Path) -> Site:
    return copy_site(released, tmp_path)


def asked(
    site: Site, *subjects: str, by: tuple[str, ...] = RELEASERS[:2], dry_run: bool = False, **more: object
) -> RevokeResult:
    wanted = Asked(subjects, str(more.pop("reason", WHY)), **more)  # type: ignore[arg-type]
    return revoke(site.depot, wanted, signers=[keys.signer(name) for name in by], now=NOW, dry_run=dry_run)


def listed(site: Site) -> tuple[Revocation, ...]:
    return revoked.listed(site.depot, site.depot.store.published("targets"))


def lifted(site: Site) -> frozenset[Subject]:
    return root.lifted(site.depot.store.published("root"))


def component(site: Site, name: str, release: str = "assistant@1") -> str:
    return next(c.digest for c in site.depot.load_release(release).components if c.name == name)


# -- revoking --------------------------------------------------------------------------------------------------------


def test_a_component_is_revoked_at_the_threshold(site: Site) -> None:
    one = asked(site, "guard@1", by=("dan",))
    assert (one.signatures, one.threshold, one.published, one.already) == (1, 2, False, False)
    assert listed(site) == ()
    again = asked(site, "guard@1", by=("erin",))
    assert (again.signatures, again.published, again.already) == (2, True, True)
    (entry,) = again.revoked
    digest = component(site, "guard")
    assert listed(site) == (Revocation("component", digest, WHY, 1, "vulnerability"),)
    assert (entry.kind, entry.digest, entry.serial, entry.type, entry.reason, entry.names) == (
        "component",
        digest,
        1,
        "vulnerability",
        WHY,
        ("guard@1",),
    )
    assert [event.event for event in read_events(site.depot)][-2:] == ["revoke", "revoke"]


def test_signatures_may_come_later(site: Site) -> None:
    assert not asked(site, "guard@1", by=()).published
    result = sign(site.depot, None, signers=[keys.signer(name) for name in RELEASERS[:2]], now=NOW)
    assert (result.published, result.release) == (True, None)
    assert len(listed(site)) == 1


def test_what_is_revoked_already_is_no_error(site: Site) -> None:
    asked(site, "guard@1")
    version = site.depot.store.published("targets")["signed"]["version"]
    again = asked(site, "guard@1", reason="another")
    assert (again.already, again.published, again.changes, again.revoked[0].reason) == (True, True, (), WHY)
    both = asked(site, "guard@1", "base@1", reason="both")
    assert [(item.serial, item.reason) for item in both.revoked] == [(1, WHY), (2, "both")]
    assert site.depot.store.published("targets")["signed"]["version"] == version + 1


def test_each_revocation_has_a_number_above_all_that_were_used(site: Site) -> None:
    asked(site, "guard@1")
    asked(site, "assistant@1", "base@1", type="superseded")
    assert sorted((item.kind, item.serial) for item in listed(site)) == [
        ("component", 1),
        ("component", 3),
        ("release", 2),
    ]
    asked(site, "base@1", lift=True, by=(*RELEASERS[:2], *ROOTS[:2]))
    asked(site, "base@1")
    assert max(item.serial for item in listed(site)) == 4


def test_every_component_of_that_name_and_version_is_revoked(site: Site) -> None:
    """A version that was never published may have other files in another release."""
    site.release({"guard": {"rules.txt": b"be bad"}}, "2", versions={"guard": "7"}, names=())
    path = site.manifest({"guard": {"rules.txt": b"be worse"}}, "3", versions={"guard": "7"})
    make_release(site.depot, path, now=NOW, replace=True)
    found = asked(site, "guard@7", beside=Beside.replace)
    assert {item.digest for item in found.revoked} == {
        component(site, "guard", release) for release in ("assistant@2", "assistant@3")
    }
    assert len(listed(site)) == 2


def test_a_dry_run_changes_nothing(site: Site) -> None:
    seen = asked(site, "guard@1", dry_run=True)
    assert seen.differences == (
        f"revoked: component guard@1 (digest {component(site, 'guard')[:32]}), serial 1, vulnerability: {WHY}",
    )
    assert (seen.published, seen.changes, seen.signatures) == (False, (), 0)
    assert site.depot.store.pending("targets") is None
    assert listed(site) == ()


def test_signers_are_told_by_name(site: Site) -> None:
    (change,) = asked(site, "guard@1", by=()).changes
    assert any(line.startswith("revoked: component guard@1 (") for line in change.differences)


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "bell\a", "x" * 4097])
def test_a_reason_is_needed(site: Site, reason: str) -> None:
    with pytest.raises(UsageError, match="reason"):
        asked(site, "guard@1", reason=reason)


def test_what_makes_no_sense(site: Site) -> None:
    with pytest.raises(UsageError, match="type"):
        asked(site, "guard@1", type="whim")
    with pytest.raises(UsageError, match="nothing"):
        asked(site)
    with pytest.raises(NotHeldError):
        asked(site, "guard@9")
    with pytest.raises(KeyUnavailableError):
        asked(site, "guard@1", by=("alice",))


def test_an_unpublished_depot(tmp_path: Path) -> None:
    with pytest.raises(UnpublishedError):
        asked(make_site(tmp_path, signed=False), "guard@1")


def test_a_list_that_would_be_too_long(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airlift.low.authority.revoke.MAX_BYTES", 100)
    with pytest.raises(UsageError, match="too long"):
        asked(site, "guard@1")


def test_one_digest_is_not_of_two_kinds(site: Site) -> None:
    digest = component(site, "guard")
    asked(site, "guard@1")
    for subjects in ((f"file:{digest}",), (f"key:{'0' * 64}", f"file:{'0' * 64}")):
        with pytest.raises(UsageError, match="cannot be revoked as"):
            asked(site, *subjects)
    assert site.depot.store.pending("targets") is None


# -- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("dan", "`airlift low rotate release --remove {} --key KEY`"),
        ("alice", "`airlift low rotate root --remove {} --key KEY`"),
        (BUNDLER, "`airlift low rotate bundler --remove {} --add NEW.pub --key KEY`"),
    ],
)
def test_a_member_is_rotated_out_first(site: Site, name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is a member's") as caught:
        asked(site, str(site.keys / f"{name}.pub"))
    assert caught.value.hint == hint.format(keys.signer(name).public.key_id[:16])


def test_a_former_member_is_revoked(site: Site) -> None:
    rotate(
        site.depot,
        Rotation("release", remove=["frank"]),
        signers=[keys.signer(name) for name in ROOTS[:2]],
        now=NOW,
    )
    key_id = keys.signer("frank").public.key_id
    (entry,) = asked(site, key_id, type="compromise").revoked
    assert (entry.kind, entry.digest, entry.names) == ("key", key_id, ("frank",))
    assert revoked.in_force(site.depot).keys() == {key_id}


# -- beside a pending change -----------------------------------------------------------------------------------------


def test_a_hot_fix_and_the_revocation_of_the_old_guard_are_signed_once(site: Site) -> None:
    site.release({**BOTH, "guard": {"rules.txt": b"be better"}}, "2", versions={"base": "1"}, names=("dan",))
    with pytest.raises(PendingError) as caught:
        asked(site, "guard@1")
    assert "--with-pending" in (caught.value.hint or "")
    joined = asked(site, "guard@1", by=("dan",), beside=Beside.join)
    assert joined.warnings == (
        "1 signatures for the pending change of targets metadata are dropped: collect them again",
    )
    assert (joined.signatures, joined.published) == (1, False)
    done = sign(site.depot, "assistant@2", signers=[keys.signer("erin")], now=NOW)
    assert (done.release, done.published) == ("assistant@2", True)
    assert [item.kind for item in listed(site)] == ["component"]


def test_a_pending_release_that_has_what_is_revoked_is_dropped_first(site: Site) -> None:
    site.release({**BOTH, "base": {"model.safetensors": weights(3)}}, "2", versions={"guard": "1"}, names=())
    with pytest.raises(RevokedError, match="guard 1 is revoked") as caught:
        asked(site, "guard@1", beside=Beside.join)
    assert "--replace" in (caught.value.hint or "")
    done = asked(site, "guard@1", beside=Beside.replace)
    assert done.published
    with pytest.raises(UsageError, match="not pending"):
        sign(site.depot, "assistant@2", signers=[keys.signer("dan")], now=NOW)


def test_revocations_join_one_another(site: Site) -> None:
    asked(site, "guard@1", by=("dan",))
    with pytest.raises(PendingError, match="targets"):
        asked(site, "base@1")
    joined = asked(site, "base@1", beside=Beside.join)
    assert joined.published
    assert [item.serial for item in sorted(listed(site), key=lambda item: item.serial)] == [1, 2]


def test_another_pending_change_is_not_signed_by_the_way(site: Site) -> None:
    asked(site, "guard@1")
    site.release({**BOTH, "guard": {"rules.txt": b"be better"}}, "2", versions={"base": "1"}, names=())
    again = asked(site, "guard@1", by=RELEASERS)
    assert (again.already, again.changes) == (True, ())
    assert not site.depot.is_published(site.depot.find_release("assistant@2").digest)


# -- lifting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("last", ["bob", "erin"])
def test_lifting_takes_both_thresholds(site: Site, last: str) -> None:
    asked(site, "guard@1", "base@1")
    signers = tuple(name for name in ("dan", "erin", "alice", "bob") if name != last)
    waiting = asked(site, "guard@1", lift=True, by=signers)
    assert not waiting.published
    assert len(listed(site)) == 2
    assert {item.role: item.missing for item in waiting.changes} == {
        "release": int(last == "erin"),
        "root": int(last == "bob"),
    }
    done = asked(site, "guard@1", lift=True, by=(last,))
    assert (done.published, done.already, [item.serial for item in done.lifted]) == (True, True, [1])
    assert [item.serial for item in listed(site)] == [2]
    assert lifted(site) == {Subject("component", component(site, "guard"), 1)}
    assert [item.serial for item in revoked.in_force(site.depot).entries] == [2]
    assert [event.event for event in read_events(site.depot)][-1] == "lift"


def test_what_was_lifted_is_no_error_and_may_be_revoked_again(site: Site) -> None:
    asked(site, "guard@1")
    everybody = (*RELEASERS[:2], *ROOTS[:2])
    assert asked(site, "guard@1", lift=True, by=everybody).published
    again = asked(site, "guard@1", lift=True, by=())
    assert (again.already, again.changes, again.lifted[0].serial) == (True, (), 1)
    assert asked(site, "guard@1").revoked[0].serial == 2
    assert len(revoked.in_force(site.depot).entries) == 1
    assert asked(site, "guard@1", lift=True, by=everybody).published
    assert {subject.serial for subject in lifted(site)} == {1, 2}


def test_what_root_alone_lifted_can_be_revoked_again(site: Site) -> None:
    """The list still has the old entry; its number is spent."""
    asked(site, "guard@1")
    asked(site, "guard@1", lift=True, by=ROOTS[:2])
    assert (len(listed(site)), revoked.in_force(site.depot).entries) == (1, ())
    result = asked(site, "guard@1", beside=Beside.replace)
    assert (result.published, [item.serial for item in listed(site)]) == (True, [2])
    assert len(revoked.in_force(site.depot).entries) == 1


def test_nothing_is_lifted_that_is_not_revoked(site: Site) -> None:
    with pytest.raises(NotHeldError, match="not revoked"):
        asked(site, "guard@1", lift=True)
    data = revocations.format((Revocation("component", component(site, "guard"), "old"),))
    site.depot.documents.keep(data)
    proposal.propose_target(site.depot.store, targets.describe("revocations", "targets", data, {}), NOW)
    sign(site.depot, None, signers=[keys.signer(name) for name in RELEASERS[:2]], now=NOW)
    with pytest.raises(UsageError, match="no serial number"):
        asked(site, "guard@1", lift=True)


def test_a_lift_whose_root_change_was_replaced_is_not_signed(site: Site) -> None:
    asked(site, "guard@1")
    asked(site, "guard@1", lift=True, by=())
    rotate(site.depot, Rotation("root", threshold=3), now=NOW, replace=True)
    with pytest.raises(RefusedError, match="no root lifts it"):
        sign(site.depot, "release", signers=[keys.signer("dan")], now=NOW)


def test_a_lift_is_signed_elsewhere(site: Site, tmp_path: Path) -> None:
    asked(site, "guard@1")
    asked(site, "guard@1", lift=True, by=(*RELEASERS[:2], "alice"))
    sent, back = tmp_path / "sent.json", tmp_path / "back.json"
    sign(site.depot, "root", transfer=Transfer(export=sent), now=NOW)
    there = sign(None, None, signers=[keys.signer("bob")], transfer=Transfer(sent, back), now=NOW)
    assert any(line.startswith("revocation lifted: component") for line in there.changes[0].differences)
    assert sign(site.depot, None, transfer=Transfer(back), now=NOW).published
    assert listed(site) == ()


# -- what is under way -----------------------------------------------------------------------------------------------


def test_bundles_under_way_are_named(site: Site) -> None:
    site.bundle(for_="alpha")
    site.release({**BOTH, "guard": {"rules.txt": b"be better"}}, "2", versions={"base": "1"})
    site.bundle("assistant@2", "two", from_="assistant@1", for_="alpha")
    result = asked(site, "guard@1", by=("dan",))
    assert result.outstanding == ("alpha-1",)
    assert result.hints == (
        "airlift low sign release --key KEY",
        "airlift low withdraw alpha-1 --bundler-key KEY",
        "airlift low renew --output DIR --bundler-key KEY",
    )
    assert asked(site, "guard@1", by=("erin",)).outstanding == ("alpha-1",)
