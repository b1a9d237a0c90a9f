"""What was revoked must not run: it comes in with any bundle, stays in force, and policy says what becomes of it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from airlift import files
from airlift.bundle.revocations import Revocation
from airlift.errors import (
    IncompleteError,
    LedgerError,
    MarkingError,
    NoSpaceError,
    NotHeldError,
    QuorumError,
    RevokedError,
)
from airlift.high.activation.activate import activate, roll_back
from airlift.high.activation.change_policy import change_policy
from airlift.high.activation.enforce import enforce
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.recover import points_at
from airlift.high.enclave.status import enclave_status
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.preview import plan_import
from airlift.high.record.questions import active_at
from airlift.ledger.entries.governance import RevocationsKnown
from tests.support import forge, keys, revoking
from tests.support.depots import NOW, Site
from tests.support.enclaves import KINDS, V1, V2, V3, enclave, holds_release, operator, site
from tests.support.revoking import of_component

pytestmark = pytest.mark.usefixtures("quick_disk")


def policy(place: Enclave, folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "policy.yaml").write_text(f"airlift: 2\nenclave: alpha\n{text}")
    change_policy(place, folder / "policy.yaml", operator=operator())


def component(low: Site, name: str, reference: str = "assistant@2", **more: object) -> Revocation:
    depot = low.depot
    release = depot.load_release(depot.find_release(reference).digest)
    return of_component(release, name, **more)  # type: ignore[arg-type]


def kinds(place: Enclave, start: int) -> list[str]:
    with place.ledger() as log:
        return [entry.type for entry in log.entries(start)]


def take(place: Enclave, volumes: list[Path], **more: object) -> object:
    return import_bundle(place, volumes, operator=operator(), **more)  # type: ignore[arg-type]


def test_a_renewal_revokes_and_the_enclave_falls_back(tmp_path: Path) -> None:
    """THREATS, content: a revoked component."""
    place, low = enclave("two", tmp_path), site(tmp_path)
    revoking.publish(low, [component(low, "base")])
    before = place.state().size
    result = import_bundle(place, revoking.renewal(low, "media"), operator=operator())
    assert result.enforced is not None
    assert (result.enforced.action, result.enforced.release, result.enforced.active) == (
        "fall-back", "assistant@2", "assistant@1",
    )  # fmt: skip
    assert result.enforced.because == ("component base 2 is revoked: a jailbreak",)
    assert holds_release(place, V1)
    assert kinds(place, before) == [
        "revocations", "import-prepare", "import-commit", "rollback-prepare", "rollback-commit",
    ]  # fmt: skip
    with place.ledger() as log:
        assert log.entry(before + 4).detail["because"] == "revoked"
    for reference in ("assistant@2", None):
        with pytest.raises(RevokedError) as caught:
            roll_back(place, reference, operator=operator())
        assert caught.value.exit_code == 6
        assert caught.value.data["fits"] is None
    assert holds_release(place, V1)


def test_without_anything_that_may_run_it_is_withdrawn(tmp_path: Path) -> None:
    place, low = enclave("two", tmp_path), site(tmp_path)
    revoking.publish(low, [component(low, "guard")])  # in both releases
    result = import_bundle(place, revoking.renewal(low, "media"), operator=operator())
    assert result.enforced is not None
    assert (result.enforced.action, result.enforced.active) == ("withdraw", None)
    assert not place.active.is_symlink()
    state = place.state()
    assert (state.active, state.open) == (None, ())
    assert kinds(place, state.size - 2) == ["withdraw-prepare", "withdraw-commit"]
    with pytest.raises(NotHeldError, match="nothing was active then"):
        active_at(place, NOW)
    assert "revoked" not in " ".join(enclave_status(place, NOW).warnings)
    made = low.release(V3, "4", versions={"guard": "2.3"}, kinds=KINDS)
    bundle = low.bundle(made.release, "fresh", from_="assistant@2")
    import_bundle(place, [item.path for item in bundle.volumes], operator=operator(), activate=True)
    assert holds_release(place, V3)


def test_a_fall_back_that_has_vanished_is_passed_over(tmp_path: Path) -> None:
    place, low = enclave("two", tmp_path), site(tmp_path)
    older = place.find_release("assistant@1", place.state())
    shutil.rmtree(place.release_path(older.digest))
    revoking.publish(low, [component(low, "base")])
    result = import_bundle(place, revoking.renewal(low, "media"), operator=operator())
    assert result.enforced is not None
    assert (result.enforced.action, result.enforced.active) == ("withdraw", None)
    assert place.state().open == ()


def test_a_disk_that_fails_in_a_fall_back_leaves_it_to_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a switch is not gone on from: the next command first finishes it, or takes it back."""
    place, low = enclave("two", tmp_path), site(tmp_path)
    revoking.publish(low, [component(low, "base")])
    volumes = revoking.renewal(low, "media")
    with monkeypatch.context() as patch:
        patch.setattr(files, "point_link", _full)
        with pytest.raises(NoSpaceError):
            import_bundle(place, volumes, operator=operator())
    assert "revoked, and active" in " ".join(enclave_status(place, NOW).warnings)
    result = import_bundle(place, volumes, operator=operator())
    assert result.enforced is not None
    assert (result.enforced.action, result.enforced.active) == ("fall-back", "assistant@1")
    assert holds_release(place, V1)


def _full(*_arguments: object) -> None:
    raise NoSpaceError("no space left")


@pytest.mark.parametrize(("word", "active"), [("withdraw", None), ("report", "assistant@2")])
def test_policy_says_what_becomes_of_it(tmp_path: Path, word: str, active: str | None) -> None:
    place, low = enclave("two", tmp_path), site(tmp_path)
    policy(place, tmp_path / "policy", f"revoked: {word}\n")
    revoking.publish(low, [component(low, "base")])
    result = import_bundle(place, revoking.renewal(low, "media"), operator=operator())
    assert result.enforced is not None
    assert (result.enforced.action, result.enforced.active) == (word, active)
    told = enclave_status(place, NOW)
    assert (told.active, len(told.revocations)) == (active, 1)
    if active:
        assert "revoked, and active: component base 2 is revoked: a jailbreak" in told.warnings
        assert holds_release(place, V2)
        policy(place, tmp_path / "policy", "keep: 3\n")  # the default again: it holds from here on
        assert holds_release(place, V1)


def test_it_holds_whatever_becomes_of_the_import(tmp_path: Path) -> None:
    """Chunks that are missing, or a policy that refuses the bundle: the list was verified and is in force."""
    low = site(tmp_path)
    made = low.release(V3, "4", versions={"guard": "2.3"}, kinds=KINDS, marking={"level": "SECRET"})
    revoking.publish(low, [component(low, "base")])
    with forge.heedless():
        volumes = [item.path for item in low.bundle(made.release, "media", from_="none").volumes]
    place = enclave("two", tmp_path)
    with pytest.raises(MarkingError) as refused:
        take(place, volumes)
    assert refused.value.data["enforced"]["active"] == "assistant@1"
    assert holds_release(place, V1)
    place, chunk = enclave("two", tmp_path / "again"), next((volumes[0] / "chunks").iterdir())
    policy(place, tmp_path / "policy", "marking: {ceiling: {level: SECRET}}\n")
    chunk.unlink()
    with pytest.raises(IncompleteError) as incomplete:
        take(place, volumes)
    assert incomplete.value.data["enforced"]["active"] == "assistant@1"
    assert holds_release(place, V1)


def test_a_shorter_list_takes_nothing_back(tmp_path: Path) -> None:
    """THREATS, rules: a revocation list that shrinks."""
    place, low = enclave("two", tmp_path), site(tmp_path)
    revoking.publish(low, [component(low, "base"), component(low, "guard", "assistant@3", serial=2)])
    take(place, revoking.renewal(low, "first"))
    assert holds_release(place, V1)
    revoking.publish(low, [])
    take(place, revoking.renewal(low, "second"))
    assert len(enclave_status(place, NOW).revocations) == 2
    with pytest.raises(RevokedError):
        activate(place, "assistant@2", operator=operator())
    revoking.publish(low, [Revocation("component", "7" * 128, "another", 3)])
    take(place, revoking.renewal(low, "third"))
    state = place.state()
    assert len(state.revocations) >= 2
    assert len(enclave_status(place, NOW).revocations) == 3


def test_a_list_that_covers_the_others_replaces_them(tmp_path: Path) -> None:
    place, low = enclave("two", tmp_path), site(tmp_path)
    entries: list[Revocation] = []
    for serial in range(1, 4):
        entries.append(Revocation("component", f"{serial}" * 128, "x", serial))
        revoking.publish(low, entries)
        take(place, revoking.renewal(low, f"media-{serial}"))
    assert len(place.state().revocations) == 1
    assert len(enclave_status(place, NOW).revocations) == 3


def test_the_same_list_again_is_no_news(tmp_path: Path) -> None:
    place, low = enclave("two", tmp_path), site(tmp_path)
    revoking.publish(low, [component(low, "base")])
    take(place, revoking.renewal(low, "first"))
    before = place.state().size
    assert import_bundle(place, revoking.renewal(low, "second"), operator=operator()).enforced is None
    assert kinds(place, before) == ["import-prepare", "import-commit"]


def test_a_plan_tells_of_what_the_bundle_revokes(tmp_path: Path) -> None:
    """The bundle's own list counts against its release, before anything is recorded."""
    place, low = enclave("two", tmp_path), site(tmp_path)
    bundle = low.bundle("assistant@3", "media", from_="assistant@2")
    revoking.publish(low, [component(low, "guard", "assistant@3")])
    with forge.heedless():
        later = low.bundle("assistant@3", "later", from_="assistant@2")
    planned = plan_import(place, [item.path for item in later.volumes], NOW)
    assert [item["code"] for item in planned.objections] == ["revoked"]
    assert plan_import(place, [item.path for item in bundle.volumes], NOW).objections == ()
    with pytest.raises(RevokedError) as caught:
        take(place, [item.path for item in later.volumes], activate=True)
    assert "assistant@1" in caught.value.hint
    assert holds_release(place, V2)


def test_with_activate_what_serves_changes_once(tmp_path: Path) -> None:
    place, low = enclave("two", tmp_path), site(tmp_path)
    revoking.publish(low, [component(low, "guard")])
    bundle = low.bundle("assistant@3", "media", from_="assistant@2")
    before = place.state().size
    result = import_bundle(place, [item.path for item in bundle.volumes], operator=operator(), activate=True)
    assert result.enforced is None
    assert holds_release(place, V3)
    assert kinds(place, before) == [
        "revocations", "import-prepare", "import-commit", "activate-prepare", "activate-commit",
    ]  # fmt: skip


def test_a_file_revokes_every_component_that_has_it(tmp_path: Path) -> None:
    place, low = enclave("two", tmp_path), site(tmp_path)
    release = place.load_release(place.state().installed[0])
    entry = next(entry for _, entry in release.files() if entry.path == "LICENSE")
    revoking.publish(low, [Revocation("file", entry.sha256, "not ours", 1, "legal")])
    result = import_bundle(place, revoking.renewal(low, "media"), operator=operator())
    assert result.enforced is not None
    assert len(result.enforced.because) == 2
    assert not place.active.is_symlink()


def test_a_revoked_key_speaks_no_more(tmp_path: Path) -> None:
    from airlift.high.governance.approve import approve

    place, low = enclave("two", tmp_path), site(tmp_path)
    keys.write(tmp_path / "policy", "ann", "ben")
    text = "attestations:\n  approval: {threshold: 1, keys: [ann.pub, ben.pub]}\n"
    policy(place, tmp_path / "policy", text)
    approve(place, "assistant@1", signer=keys.signer("ann"), operator=operator())
    activate(place, "assistant@1", operator=operator())
    lost = Revocation("key", keys.signer("ann").public.key_id, "stolen", 1, "compromise")
    revoking.publish(low, [lost])
    take(place, revoking.renewal(low, "media"))
    with pytest.raises(QuorumError):
        activate(place, "assistant@1", operator=operator())
    assert approve(place, "assistant@1", signer=keys.signer("ann"), operator=operator()).approvals == 0
    assert approve(place, "assistant@1", signer=keys.signer("ben"), operator=operator()).approvals == 1
    activate(place, "assistant@1", operator=operator())


INTERRUPTED: dict[str, tuple[Callable[[Enclave], object], str | None]] = {
    "before the link went": (lambda place: None, "assistant@2"),
    "after the link went": (lambda place: place.active.unlink(), None),
}


@pytest.mark.parametrize("moment", INTERRUPTED)
def test_a_withdrawal_that_was_interrupted_is_finished_or_undone(tmp_path: Path, moment: str) -> None:
    from airlift.high.enclave.enclave import release_ref
    from airlift.high.enclave.recover import recover
    from airlift.ledger.entries.activations import WithdrawPrepare

    place, (act, active) = enclave("two", tmp_path), INTERRUPTED[moment]
    release = place.load_release(place.state().active or "")
    place.record(
        operator(), WithdrawPrepare(release.digest, release_ref(release), "revoked"), release=release.digest
    )
    act(place)
    assert any("withdraw-prepare" in text for text in enclave_status(place, NOW).warnings)
    with place.lock():
        assert len(recover(place, operator())) == 1
    state = place.state()
    assert state.open == ()
    assert enclave_status(place, NOW).active == active
    assert (points_at(place.active) is None) == (active is None)


def test_an_interruption_before_it_is_enforced_is_told_and_made_good(tmp_path: Path) -> None:
    place, low = enclave("two", tmp_path), site(tmp_path)
    revoking.publish(low, [component(low, "base")])
    volumes = revoking.renewal(low, "media")
    from airlift.high.governance import revocation
    from airlift.high.verification.verify_bundle import verify_bundle

    verified = verify_bundle(place, volumes, place.state(), NOW)
    news = revocation.learn(place, place.state(), verified)
    assert news == RevocationsKnown(news.sha512 if news else "", covers=True)
    assert news is not None
    place.record(operator(), news)  # and the command was killed
    assert any("revoked, and active" in text for text in enclave_status(place, NOW).warnings)
    assert holds_release(place, V2)
    take(place, volumes)
    assert holds_release(place, V1)
    with place.lock():
        assert enforce(place, operator()) is None


def test_a_list_that_is_lost_is_told(tmp_path: Path) -> None:
    place, low = enclave("two", tmp_path), site(tmp_path)
    revoking.publish(low, [component(low, "base")])
    take(place, revoking.renewal(low, "media"))
    (listed,) = place.state().revocations
    place.history.path(listed).unlink()
    with pytest.raises(LedgerError):
        activate(place, "assistant@1", operator=operator())
