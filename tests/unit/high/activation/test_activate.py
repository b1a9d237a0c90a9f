"""Activation and roll back: policy is asked each time, the set moves at once, dry runs change nothing."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from airlift.errors import (
    AirliftError,
    ContentDamagedError,
    FloorError,
    MarkingError,
    NotHeldError,
    QuorumError,
    RequirementError,
)
from airlift.high.activation.activate import activate, roll_back
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.check_content import check_content
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.gc import collect_garbage
from airlift.high.enclave.init import NewEnclave, init_enclave
from airlift.high.enclave.policy import load_document
from airlift.high.enclave.status import enclave_status, list_releases
from airlift.high.importing.preview import plan_import, prove_bundle
from airlift.high.importing.repair import repair
from airlift.high.record.ledger_copies import back_up_ledger, export_ledger
from airlift.high.record.questions import active_at, active_during, history, mentions, trace
from airlift.high.record.verify_ledger import verify_ledger
from airlift.high.record.witness import countersign
from airlift.high.verification.inspect import inspect_volumes
from tests.support import keys
from tests.support.depots import NOW
from tests.support.enclaves import (
    V1,
    V2,
    V3,
    attempt,
    enclave,
    forget,
    holds_release,
    operator,
    picture,
    take,
    world,
)

pytestmark = pytest.mark.usefixtures("quick_disk")


def policy(place: Enclave, folder: Path, text: str) -> None:
    """Put a policy in force."""
    folder.mkdir(exist_ok=True)
    (folder / "policy.yaml").write_text(f"airlift: 1\nenclave: alpha\n{text}")
    change_policy(place, folder / "policy.yaml", operator=operator())


def test_there_and_back_again(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    assert holds_release(place, V2)
    result = roll_back(place, operator=operator())
    assert (result.active, result.previous, result.already) == ("assistant@1", "assistant@2", False)
    assert holds_release(place, V1)
    assert roll_back(place, operator=operator()).active == "assistant@2"
    result = roll_back(place, "assistant@1", operator=operator())
    digest = place.state().active
    assert digest is not None
    assert activate(place, digest[:12], operator=operator()).already
    with place.ledger() as log:
        kinds = [entry.type for entry in log.entries()][-6:]
    assert kinds == ["rollback-prepare", "rollback-commit"] * 3


def test_what_is_not_installed(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    for reference in ("assistant@2", "0" * 12, "assistant", "", "0" * 128):
        with pytest.raises(NotHeldError) as caught:
            activate(place, reference, operator=operator())
        assert caught.value.exit_code == 5
    with pytest.raises(NotHeldError):
        roll_back(place, operator=operator())
    with pytest.raises(NotHeldError):
        roll_back(place, "assistant@2", operator=operator())
    assert holds_release(place, V1)


RULES: dict[str, tuple[str, type[AirliftError]]] = {
    "floor": ('floors: {guard: "2.2"}', FloorError),
    "requirement": ('requires:\n  - {kind: model, needs: guard, version: ">=2.2"}', RequirementError),
    "other kind": ('requires:\n  - {kind: model, needs: blocklist, version: ">=1"}', RequirementError),
    "quorum": ("attestations:\n  scan: {threshold: 1, keys: [scanner.pub]}", QuorumError),
    "ceiling": ("marking:\n  levels: [PUBLIC, SECRET]", MarkingError),
}


@pytest.mark.parametrize("rule", ["floor", "requirement", "quorum", "ceiling"])
def test_policy_holds_for_a_roll_back(tmp_path: Path, rule: str) -> None:
    """A guard older than the floor, weights without the guard they need: no activation, not even by roll back."""
    place, (text, error) = enclave("two", tmp_path), RULES[rule]
    take(place, "step", activate=True)
    keys.write(tmp_path / "policy", "scanner")
    policy(place, tmp_path / "policy", text)
    switches: list[Callable[[], object]] = [
        lambda: roll_back(place, operator=operator()),
        lambda: activate(place, "assistant@1", operator=operator()),
        lambda: roll_back(place, dry_run=True, operator=operator()),
    ]
    for switch in switches:
        with pytest.raises(error) as caught:
            switch()
        assert caught.value.exit_code == 6
        assert caught.value.data["objections"]
    assert holds_release(place, V3)


@pytest.mark.parametrize("rule", RULES)
def test_policy_is_asked_before_anything_is_installed(tmp_path: Path, rule: str) -> None:
    place, (text, error) = enclave("fresh", tmp_path), RULES[rule]
    keys.write(tmp_path / "policy", "scanner")
    policy(place, tmp_path / "policy", text)
    attempt(place, world().bundles["full"], error, 6, activate=True)
    codes = {item["code"] for item in plan_import(place, world().bundles["full"], NOW).objections}
    assert codes == {error.code}
    if rule != "ceiling":
        assert take(place, "full").installed


def test_attestations_fail_closed(tmp_path: Path) -> None:
    """This format carries no attestations: a policy that asks for some refuses every activation."""
    place = enclave("two", tmp_path)
    keys.write(tmp_path / "policy", "a", "b")
    policy(place, tmp_path / "policy", "attestations:\n  approval: {threshold: 2, keys: [a.pub, b.pub]}")
    with pytest.raises(QuorumError):
        activate(place, "assistant@2", operator=operator())
    with pytest.raises(QuorumError):
        activate(place, "assistant@1", operator=operator())


def test_a_tree_that_has_vanished(tmp_path: Path) -> None:
    """Broke: the link was switched to a tree that somebody had deleted."""
    place = enclave("two", tmp_path)
    forget(place.release_path(place.state().installed[0]))
    with pytest.raises(ContentDamagedError):
        roll_back(place, operator=operator())
    assert holds_release(place, V2)


# -- what only looks -----------------------------------------------------------------------------------------------


def looks(place: Enclave, folder: Path) -> dict[str, Callable[[], object]]:
    """Return every read-only command and dry run."""
    text = folder / "other.yaml"
    text.write_text("airlift: 1\nenclave: alpha\nkeep: 7\n")
    base = world().site
    root = base.depot.root
    from airlift.high.enclave.init import root_fingerprint

    return {
        "inspect": lambda: inspect_volumes(world().bundles["next"]),
        "plan": lambda: plan_import(place, world().bundles["next"], NOW),
        "plan of a replay": lambda: plan_import(place, world().bundles["full"], NOW),
        "plan for expired": lambda: plan_import(place, world().bundles["next"], NOW, expired_allowed=True),
        "prove": lambda: prove_bundle(place, world().bundles["next"], NOW),
        "status": lambda: enclave_status(place, NOW),
        "list": lambda: list_releases(place),
        "check": lambda: check_content(place),
        "repair": lambda: repair(place, world().bundles["full"], operator=operator(), dry_run=True),
        "activate": lambda: activate(place, "assistant@1", operator=operator(), dry_run=True),
        "rollback": lambda: roll_back(place, operator=operator(), dry_run=True),
        "gc": lambda: collect_garbage(place, 1, operator=operator(), dry_run=True),
        "policy set": lambda: change_policy(place, text, operator=operator(), dry_run=True),
        "policy show": lambda: load_document(place, place.state()),
        "trace": lambda: trace(place, "base"),
        "at": lambda: active_at(place, NOW),
        "history": lambda: history(place, since=NOW, component="guard"),
        "verify": lambda: verify_ledger(place, public_key=None),
        "witness": lambda: countersign(place, signer=keys.signer("auditor"), name="auditor", dry_run=True),
        "where": lambda: mentions(place, "guard"),
        "during": lambda: active_during(place, "guard"),
        "backup": lambda: back_up_ledger(place, folder / "ledger.db"),
        "export": lambda: export_ledger(place, folder / "ledger.jsonl"),
        "init": lambda: init_enclave(
            folder / "elsewhere",
            NewEnclave("beta", root, root_fingerprint(root), str(base.keys / "ledger.key")),
            operator=operator(),
            dry_run=True,
        ),
    }


def test_looking_changes_nothing(tmp_path: Path) -> None:
    """Read-only commands and dry runs leave every byte as it was. Broke: some created the lock file."""
    place = enclave("two", tmp_path)
    (place.folder / "lock").unlink()
    for name, look in looks(place, tmp_path).items():
        before = picture(place.folder)
        look()
        assert picture(place.folder) == before, name
    assert not (tmp_path / "elsewhere").exists()


def test_looking_reports_and_does_not_recover(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    place.active.unlink()
    (place.releases / ".tmp-x").mkdir()
    for name, look in looks(place, tmp_path).items():
        before = picture(place.folder)
        look()
        assert picture(place.folder) == before, name
    told = [text for text in enclave_status(place, NOW).warnings if text.startswith("interrupted work")]
    assert len(told) == 2
    assert activate(place, "assistant@2", operator=operator()).recovered
    assert holds_release(place, V2)


def test_dry_runs_say_what_would_be(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    result = activate(place, "assistant@1", operator=operator(), dry_run=True)
    assert (result.active, result.previous) == ("assistant@1", "assistant@2")
    assert roll_back(place, operator=operator(), dry_run=True).active == "assistant@1"
    assert holds_release(place, V2)


def test_listing_and_status(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    one, two = list_releases(place)
    assert (one["release"], one["active"], one["previous"]) == ("assistant@1", False, True)
    assert (two["release"], two["active"], two["previous"]) == ("assistant@2", True, False)
    found = enclave_status(place, NOW)
    assert (found.active, found.previous) == ("assistant@2", "assistant@1")
    assert found.installed == ("assistant@1", "assistant@2")
    assert set(found.trust) == {"root", "targets", "snapshot", "timestamp", "bundler"}
    assert (found.warnings, found.staged) == ((), ())
    assert found.ledger["size"] == place.state().size
    empty = enclave_status(enclave("fresh", tmp_path), NOW)
    assert (empty.active, empty.warnings) == (None, ("no bundle was imported yet",))


# -- readers -------------------------------------------------------------------------------------------------------


def test_a_reader_of_active_sees_a_whole_set(tmp_path: Path) -> None:
    """A reader of ``active/`` during activation sees the old set or the new one, never a mixture and never none."""
    place, seen, stop = enclave("two", tmp_path), set(), threading.Event()
    failures: list[str] = []
    guards = {V1["base"]["model.safetensors"]: "1", V2["base"]["model.safetensors"]: "2"}

    def read() -> None:
        while not stop.is_set():
            top = place.active.resolve(strict=True)  # a model server resolves the link once and keeps to it
            names = {path.name for path in top.iterdir()}
            data = (top / "base" / "model.safetensors").read_bytes()
            if names != {"base", "guard"} or data not in guards:
                failures.append(f"{names}")
            seen.add(guards.get(data))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(6):
        roll_back(place, operator=operator())
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert seen == {"1", "2"}
