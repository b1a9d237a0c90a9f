"""What the owners' commands decide: tests before a release runs, health checks after; and what the record says."""

import sys
from pathlib import Path

import pytest

from airlift.errors import AcceptanceError, HookError, ManifestError
from airlift.high.activation.activate import activate, roll_back
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.enclave import Enclave, release_ref
from airlift.high.enclave.recover import recover
from airlift.high.enclave.switching import hooks
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.record.verify_ledger import verify_ledger
from airlift.ledger.entries.activations import ActivatePrepare
from tests.support import revoking
from tests.support.enclaves import V1, V2, V3, enclave, holds_release, operator, site, take, world

pytestmark = pytest.mark.usefixtures("quick_disk")

CANARY = """\
import json, pathlib, sys
release = pathlib.Path(sys.argv[1])
assert json.loads((release / "base/nested/config.json").read_text())["layers"] == 2
sys.exit(0 if (release / "guard/guard.safetensors").stat().st_size else 1)
"""
HOOK = """\
import os, pathlib, sys
log = pathlib.Path(os.environ["AIRLIFT_ENCLAVE"]).parent / "hooks.log"
with log.open("a") as file:
    print(sys.argv[1], os.environ["AIRLIFT_ACTION"], pathlib.Path(os.environ["AIRLIFT_RELEASE"]).name[:8], file=file)
sys.exit((log.parent / "broken").exists() and sys.argv[1] == (log.parent / "broken").read_text())
"""


def policy(place: Enclave, folder: Path, text: str, **files: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / f"{name}.py").write_text(data)
    (folder / "policy.yaml").write_text(f"airlift: 2\nenclave: alpha\n{text}")
    change_policy(place, folder / "policy.yaml", operator=operator())


def accepting(place: Enclave, folder: Path, script: str = CANARY, more: str = "") -> None:
    policy(
        place,
        folder,
        "files: [canary.py]\nacceptance:\n"
        f"  - {{name: canary, command: [{sys.executable}, canary.py, '{{release}}']{more}}}\n",
        canary=script,
    )


def hooked(place: Enclave, folder: Path) -> Path:
    """Put commands in force that write down when they run; return where."""
    lines = "".join(
        f"  {when}: [{{name: {when}, command: [{sys.executable}, hook.py, {when}]}}]\n"
        for when in ("before", "after")
    )
    policy(place, folder, f"files: [hook.py]\nactivation:\n{lines}", hook=HOOK)
    return place.folder.parent / "hooks.log"


def kinds(place: Enclave, start: int) -> list[str]:
    with place.ledger() as log:
        return [entry.type for entry in log.entries(start)]


# -- acceptance ----------------------------------------------------------------------------------------------------


def test_a_release_runs_only_after_it_passed(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    accepting(place, tmp_path / "policy")
    before = place.state().size
    activate(place, "assistant@1", operator=operator())
    assert kinds(place, before) == ["attestation", "activate-prepare", "activate-commit"]
    with place.ledger() as log:
        detail = log.entry(before).detail
        statement_key = log.public.key_id
    assert (detail["kind"], detail["passes"], detail["signers"]) == ("evaluation", True, [statement_key])
    assert detail["holders"] == {statement_key: "enclave alpha"}
    roll_back(place, "assistant@2", operator=operator())
    before = place.state().size
    activate(place, "assistant@1", operator=operator())  # it has passed: nothing runs again
    assert kinds(place, before) == ["activate-prepare", "activate-commit"]
    accepting(place, tmp_path / "policy", CANARY + "# another\n")
    before = place.state().size
    activate(place, "assistant@2", operator=operator())  # another test: run anew
    assert kinds(place, before)[0] == "attestation"
    verify_ledger(place, public_key=None)


def test_a_release_that_fails_is_refused_and_stays_installed(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    accepting(place, tmp_path / "policy", "print('the guard is silent')\nraise SystemExit(3)\n")
    before = place.state().size
    with pytest.raises(AcceptanceError) as caught:
        take(place, "step", activate=True)
    error = caught.value
    assert (error.exit_code, error.expected, error.found) == (6, "exit 0", "exit 3")
    assert error.data["installed"]
    assert error.data["acceptance"][0]["said"] == "the guard is silent"
    assert holds_release(place, V2)
    assert kinds(place, before) == ["import-prepare", "import-commit", "attestation"]
    for switch in (activate, roll_back):
        with pytest.raises(AcceptanceError):
            switch(place, "assistant@3", operator=operator())
    accepting(place, tmp_path / "policy")
    activate(place, "assistant@3", operator=operator())
    assert holds_release(place, V3)


def test_tests_run_only_where_all_else_allows_it(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    mark = tmp_path / "ran"
    accepting(place, tmp_path / "policy", f"open({str(mark)!r}, 'w')\n")
    from airlift.errors import FloorError
    from airlift.high.governance.floor import FloorRequest, set_floor

    set_floor(place, FloorRequest("guard", "9", "why"), operator=operator())
    before = place.state()
    with pytest.raises(FloorError):
        activate(place, "assistant@1", operator=operator())
    assert place.state() == before
    assert not mark.exists()


def test_a_fall_back_takes_only_what_has_passed(tmp_path: Path) -> None:
    place, low = enclave("two", tmp_path), site(tmp_path)
    accepting(place, tmp_path / "policy")
    depot = low.depot
    release = depot.load_release(depot.find_release("assistant@2").digest)
    revoking.publish(low, [revoking.of_component(release, "base")])
    result = import_bundle(place, revoking.renewal(low, "media"), operator=operator())
    assert result.enforced is not None
    assert (result.enforced.action, result.enforced.active) == ("withdraw", None)


def test_a_scan_is_recorded_as_one(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    accepting(place, tmp_path / "policy", more=", kind: scan, timeout: 60, memory: 2GiB, processes: 8")
    before = place.state().size
    activate(place, "assistant@1", operator=operator())
    with place.ledger() as log:
        assert (log.entry(before).detail["kind"], log.entry(before).detail["passes"]) == ("scan", True)


@pytest.mark.parametrize(
    "text",
    [
        "acceptance: [{name: a, command: [x]}, {name: a, command: [y]}]",
        "acceptance: [{name: a, command: []}]",
        "acceptance: [{name: a, command: [x], memory: 1GB}]",
        "files: [../canary.py]",
        "files: [policy.yaml]",
    ],
)
def test_what_is_no_command(tmp_path: Path, text: str) -> None:
    place = enclave("two", tmp_path)
    with pytest.raises(ManifestError):
        policy(place, tmp_path / "policy", text + "\n")


def test_commands_are_new_in_format_2(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    (tmp_path / "policy.yaml").write_text("airlift: 1\nenclave: alpha\nacceptance: []\n")
    with pytest.raises(ManifestError, match="format 1"):
        change_policy(place, tmp_path / "policy.yaml", operator=operator())


# -- hooks ---------------------------------------------------------------------------------------------------------


def test_commands_before_and_after_a_switch(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    log = hooked(place, tmp_path / "policy")
    one = place.state().installed[0][:8]
    roll_back(place, operator=operator())
    assert log.read_text().splitlines() == [f"before rollback {one}", f"after rollback {one}"]
    assert holds_release(place, V1)


def test_one_before_that_refuses_changes_nothing(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    hooked(place, tmp_path / "policy")
    (place.folder.parent / "broken").write_text("before")
    before = place.state()
    with pytest.raises(HookError) as caught:
        activate(place, "assistant@1", operator=operator())
    assert (caught.value.exit_code, caught.value.code, caught.value.found) == (6, "hook-failed", "exit 1")
    assert place.state() == before
    assert holds_release(place, V2)


def test_a_failed_health_check_rolls_back_by_itself(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    log = hooked(place, tmp_path / "policy")
    one, two = (digest[:8] for digest in place.state().installed)
    (place.folder.parent / "broken").write_text("after")
    before = place.state().size
    with pytest.raises(HookError, match="assistant@2 is active again"):
        activate(place, "assistant@1", operator=operator())
    assert holds_release(place, V2)
    assert log.read_text().splitlines() == [
        f"before activate {one}", f"after activate {one}", f"after restore {two}",
    ]  # fmt: skip
    assert kinds(place, before) == ["activate-prepare", "abort"]
    with place.ledger() as ledger:
        assert ledger.entry(before + 1).detail == {"undoes": before, "reason": "after: exit 1"}
    assert place.state().open == ()
    with pytest.raises(HookError):
        import_bundle(place, world().bundles["step"], operator=operator(), activate=True)
    assert holds_release(place, V2)
    assert len(place.state().installed) == 3
    assert "import-reject" not in kinds(place, before)


def test_the_first_activation_that_fails_leaves_nothing_active(tmp_path: Path) -> None:
    place = enclave("fresh", tmp_path)
    hooked(place, tmp_path / "policy")
    (place.folder.parent / "broken").write_text("after")
    with pytest.raises(HookError, match="nothing is active, as before"):
        take(place, "full", activate=True)
    assert not place.active.is_symlink()
    assert place.state().active is None


@pytest.mark.parametrize("healthy", [True, False])
def test_recovery_asks_for_health_too(tmp_path: Path, healthy: bool) -> None:
    """Killed between the rename and the commit: the health check may not have run."""
    from airlift import files

    place = enclave("two", tmp_path)
    hooked(place, tmp_path / "policy")
    release = place.load_release(place.state().installed[0])
    place.record(
        operator(), ActivatePrepare(place.state().active, release_ref(release)), release=release.digest
    )
    files.point_link(place.active, place.active_target(release.digest))
    if not healthy:
        (place.folder.parent / "broken").write_text("after")
    with place.lock():
        recover(place, operator())
    assert place.state().open == ()
    assert holds_release(place, V1 if healthy else V2)


def test_a_withdrawal_is_told_and_not_held_up(tmp_path: Path) -> None:
    place, low = enclave("two", tmp_path), site(tmp_path)
    log = hooked(place, tmp_path / "policy")
    (place.folder.parent / "broken").write_text("before")
    depot = low.depot
    release = depot.load_release(depot.find_release("assistant@2").digest)
    revoking.publish(low, [revoking.of_component(release, "guard")])
    import_bundle(place, revoking.renewal(low, "media"), operator=operator())
    assert not place.active.is_symlink()
    assert [line.strip() for line in log.read_text().splitlines()] == ["before withdraw", "after withdraw"]


def test_a_fall_back_that_is_not_healthy_tries_the_next(tmp_path: Path) -> None:
    place, low = enclave("two", tmp_path), site(tmp_path)
    hooked(place, tmp_path / "policy")
    (place.folder.parent / "broken").write_text("after")
    depot = low.depot
    release = depot.load_release(depot.find_release("assistant@2").digest)
    revoking.publish(low, [revoking.of_component(release, "base")])
    result = import_bundle(place, revoking.renewal(low, "media"), operator=operator())
    assert result.enforced is not None
    assert result.enforced.action == "withdraw"
    assert "abort" in kinds(place, 0)


def test_a_policy_that_was_changed_runs_no_command(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    log = hooked(place, tmp_path / "policy")
    script = place.policy_path(place.state().policy or "") / "hook.py"
    script.chmod(0o644)
    script.write_text("raise SystemExit(0)")
    assert hooks.run_after(place, place.state(), "activate", None) is None
    assert not log.exists()
