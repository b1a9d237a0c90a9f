"""``high register`` through the real commands: what is trained inside runs beside its guard, or not at all."""

import subprocess
import sys

import pytest

from tests.arch.tree import FOLDER
from tests.cli.conftest import POLICY, World
from tests.cli.test_refusals import entries, refused
from tests.support import weights

PERMITS = POLICY.replace("airlift: 1", "airlift: 2").replace("{level: UNCLASSIFIED}", "{level: SECRET}")
MANIFEST = """\
airlift: 1
components:
  - name: cases
    kind: adapter
    version: "1"
    source: {path: trained}
    parents: [{component: corpus, relation: derived-from}]
    data: [{name: case-files, version: "2026-11", marking: {level: SECRET}}]
"""


@pytest.fixture
def inside(running: World) -> World:
    """Return a world whose enclave lets adapters be registered, with one that was trained."""
    policy(running, "register: [adapter]\n")
    weights.component(running.folder / "trained", {"adapter.safetensors": weights.weights(9)})
    (running.folder / "cases.yaml").write_text(MANIFEST)
    return running


def policy(world: World, text: str = "") -> None:
    (world.folder / "policy.yaml").write_text(PERMITS + text)
    world.quick("high", "policy", "set", "policy.yaml").expect(0)


def test_it_is_registered_activated_and_traced(inside: World) -> None:
    planned = inside.quick("high", "register", "cases.yaml", "--dry-run", "--format", "json").expect(0)
    assert (planned.data["entry"], planned.data["dry_run"]) == (None, True)
    said = inside.quick("high", "register", "cases.yaml", "--format", "json").expect(0)
    assert (said.data["release"], said.data["base"]) == ("demo@1+cases.1", "demo@1")
    assert (said.data["marking"]["level"], said.data["digest"]) == ("SECRET", planned.data["digest"])
    assert entries(inside)[-1] == "register"
    table = inside.quick("high", "register", "cases.yaml").expect(0)
    assert "cases" in table.out
    assert "SECRET" in table.out
    inside.quick("high", "activate", "demo@1+cases.1").expect(0)
    assert (inside.folder / "enclave/active/cases/adapter.safetensors").is_file()
    traced = inside.quick("provenance", "trace", "cases", "--format", "json").expect(0).data
    assert "derived-from" in str(traced)
    history = inside.quick("provenance", "history", "--component", "cases", "--format", "json").expect(0)
    assert [e["type"] for e in history.data["entries"]] == ["register", "activate-prepare", "activate-commit"]
    assert "registered   demo@1+cases.1" in inside.quick("high", "status").expect(0).out
    receipt = inside.quick("high", "receipt", "--output", "receipt.json", "--format", "json").expect(0)
    assert (receipt.data["active"], receipt.data["installed"]) == ("demo@1", ["demo@1"])
    assert receipt.data["marking"]["level"] == "UNCLASSIFIED"


@pytest.mark.parametrize("question", ["trace cases", "trace demo@1+cases.1", "show cases", "during cases"])
def test_the_proof_of_where_it_comes_from_checks_alone(inside: World, question: str) -> None:
    inside.quick("high", "register", "cases.yaml").expect(0)
    inside.quick("high", "activate", "demo@1+cases.1").expect(0)
    said = inside.quick("provenance", *question.split(), "--prove", "--format", "json").expect(0)
    (inside.folder / "answer.json").write_text(said.out)
    words = [sys.executable, str(FOLDER / "verify.py"), "answer.json", "--public-key", "keys/ledger.pub"]
    done = subprocess.run(words, cwd=inside.folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_is_refused_unless_policy_permits_it(inside: World) -> None:
    policy(inside)
    said = refused(inside, 6, "high", "register", "cases.yaml")
    assert (said.error["code"], said.error["expected"], said.error["found"]) == (
        "registration-refused", "register: [adapter] in the policy", "nothing",
    )  # fmt: skip
    policy(inside, "register: [adapter]\n")
    inside.quick("high", "register", "cases.yaml").expect(0)
    policy(inside)
    assert refused(inside, 6, "high", "activate", "demo@1+cases.1").error["code"] == "registration-refused"


@pytest.mark.parametrize(
    ("old", "new", "code", "exit_code"),
    [
        ("SECRET}}]", "SECRET}}]\n    marking: {level: UNCLASSIFIED}", "marking-refused", 6),
        ("kind: adapter", "kind: guard", "manifest-invalid", 2),
        ("name: cases", "name: corpus", "manifest-invalid", 2),
        ("component: corpus", "component: nobody", "release-not-held", 5),
        ("path: trained", "path: nowhere", "unreadable", 7),
        ("airlift: 1\n", "airlift: 1\nfrom: demo@9\n", "release-not-held", 5),
        ("airlift: 1\n", "airlift: 1\nwithout: [guard]\n", "manifest-invalid", 2),
        ("airlift: 1\n", "airlift: 1\nversion: '1'\n", "exists", 2),
        ("level: SECRET", "level: TOP SECRET", "marking-refused", 6),
    ],
)
def test_what_is_wrong_is_told(inside: World, old: str, new: str, code: str, exit_code: int) -> None:
    path = inside.folder / "cases.yaml"
    path.write_text(path.read_text().replace(old, new, 1))
    before = inside.installed()
    said = inside.quick("high", "register", "cases.yaml", "--format", "json").expect(exit_code)
    assert said.error["code"] == code
    assert inside.installed() == before
    assert "register" not in entries(inside)


def contents(world: World) -> list[str]:
    """Return what is held, and what is laid out."""
    places = [world.folder / "enclave" / name for name in ("content", "releases")]
    return sorted(str(path) for place in places for path in place.rglob("*") if path.is_file())


def test_a_copy_is_no_way_down(inside: World) -> None:
    """8.6-5: what has a file of something that is marked above it is marked as that, whatever it is called."""
    inside.quick("high", "import", *inside.volumes("alpha-4")).expect(0)
    path, copied = inside.folder / "cases.yaml", inside.folder / "trained/notes.txt"
    copied.write_bytes((inside.folder / "sources/guard-3/rules.txt").read_bytes())
    path.write_text(path.read_text().replace("marking: {level: SECRET}", "marking: {level: UNCLASSIFIED}"))
    before = contents(inside)
    error = inside.quick("high", "register", "cases.yaml", "--format", "json").expect(6).error
    assert (error["code"], error["expected"], error["found"]) == (
        "marking-refused", "at least SECRET", "UNCLASSIFIED",
    )  # fmt: skip
    assert error["message"].startswith("notes.txt of component cases is a file of component guard")
    assert contents(inside) == before
    assert "register" not in entries(inside)
    path.write_text(path.read_text() + "    marking: {level: SECRET}\n")
    inside.quick("high", "register", "cases.yaml").expect(0)
    assert entries(inside)[-1] == "register"


def test_the_guard_stays(inside: World) -> None:
    """THREATS, rules: policy couples adapters to guards, and what was trained inside is no exception."""
    inside.quick("high", "register", "cases.yaml").expect(0)
    policy(inside, "register: [adapter]\nrequires: [{kind: adapter, needs: guard, version: '>=9'}]\n")
    said = refused(inside, 6, "high", "activate", "demo@1+cases.1")
    assert said.error["code"] == "requirement-unmet"
    policy(inside, "register: [adapter]\nrequires: [{kind: adapter, needs: guard, version: '>=1'}]\n")
    inside.quick("high", "activate", "demo@1+cases.1").expect(0)
