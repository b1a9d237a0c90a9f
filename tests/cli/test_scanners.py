"""Real scanners, confined as a depot and an enclave confine them: ClamAV with a signature of our own, modelscan."""

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import World
from tests.cli.test_scan import attested, scan, set_scanners
from tests.support.scanning import POLICY, accepting, bundled, released
from tests.support.weights import weights

PARTS = ("X5O!P%@AP[4\\PZX54(P^)7CC)7}", "$EICAR-STANDARD-", "ANTIVIRUS-TEST-FILE!$H+H*")
"""The test file of EICAR, which every scanner of viruses finds, in pieces: whole it would be found here as well."""
NOTHING_KNOWN = 3
"""How modelscan ends if no file is of a kind that it looks into."""


class Payload:
    """Runs a command when it is loaded."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("true",)


@dataclass(frozen=True)
class Scanner:
    """A scanner's command, as a policy names it, and two releases: it finds something in the first alone."""

    name: str
    command: tuple[str, ...]
    bad: dict[str, bytes]
    good: dict[str, bytes]
    kind: str = "data"
    waived: tuple[str, ...] = ()

    @property
    def item(self) -> dict[str, object]:
        """The item of a policy."""
        return {"name": self.name, "command": list(self.command), "timeout": 300}

    def release(self, world: World, version: str) -> str:
        """Release one of the two, ``bad`` or ``good``."""
        files = {"bad": self.bad, "good": self.good}[version]
        more = accepting(*self.waived) if self.waived else ""
        return released(world, version, files, more, self.kind)


@pytest.fixture
def clamav(require_tool: Callable[[str], str], tmp_path: Path) -> Scanner:
    """ClamAV, whose only signature is that of the test file."""
    eicar = "".join(PARTS).encode()
    (tmp_path / "database").mkdir()
    (tmp_path / "database/own.ndb").write_text(f"Airlift.Test.Eicar:0:*:{eicar.hex()}\n")
    command = (
        require_tool("clamscan"),
        f"--database={tmp_path}/database",
        "--recursive",
        "--infected",
        "{release}",
    )
    return Scanner(
        "clamav", command, {"notes/eicar.com": eicar}, {"notes/plain.txt": b"Nothing to be found.\n"}
    )


@pytest.fixture
def modelscan(require_tool: Callable[[str], str]) -> Scanner:
    """modelscan, and pickles that an owner has waived so that they get as far as this."""
    tool = require_tool(os.environ.get("AIRLIFT_MODELSCAN", "modelscan"))
    bad, good = {"weights.pkl": pickle.dumps(Payload())}, {"weights.pkl": pickle.dumps([0.5, 1.5])}
    return Scanner("modelscan", (tool, "-p", "{release}"), bad, good, "model", ("pickle",))


@pytest.fixture(params=["clamav", "modelscan"])
def scanner(request: pytest.FixtureRequest) -> Scanner:
    """Return each scanner in turn."""
    found: Scanner = request.getfixturevalue(request.param)
    return found


def test_on_the_low_side(world: World, scanner: Scanner) -> None:
    """THREATS, content: a virus, or a payload in a pickle that was waived."""
    set_scanners(world, scanner.item).expect(0)
    said = scan(world, scanner.release(world, "bad")).expect(6)
    gate, found = said.data["scans"]
    assert gate["passes"]
    assert (found["name"], found["exit"]) == (scanner.name, 1), found
    assert said.error["message"] == f"release demo@bad does not pass {scanner.name}; that is attested"
    said = scan(world, scanner.release(world, "good")).expect(0)
    assert said.data["scans"][1]["exit"] == 0
    assert [
        stated["verdict"] for version in ("bad", "good") for stated in attested(world, f"demo@{version}")
    ] == [
        "fail",
        "pass",
    ]


def test_on_the_high_side(running: World, scanner: Scanner) -> None:
    """THREATS, content: what a scanner finds is not activated, whatever the low side let pass."""
    waivers = [{"what": kind} for kind in scanner.waived]
    item = {**scanner.item, "kind": "scan"}
    (running.folder / "policy.yaml").write_text(
        f"{POLICY}waivers: {json.dumps(waivers)}\nacceptance: {json.dumps([item])}\n"
    )
    running.quick("high", "policy", "set", "policy.yaml").expect(0)
    for version, code in (("bad", 6), ("good", 0)):
        scanner.release(running, version)
        volumes = bundled(running, version)
        said = running.run("high", "import", *volumes, "--activate", "--format", "json").expect(code)
        if code:
            assert said.error["code"] == "not-accepted"
            assert said.error["found"] == "exit 1", said.data["acceptance"]
    status = running.quick("high", "status", "--format", "json").expect(0).data
    assert status["active"] == "demo@good"


def test_modelscan_ends_with_3_where_it_knows_nothing(world: World, modelscan: Scanner) -> None:
    """So docs/gate.md wraps it; that line passes, and still tells of what is found."""
    files = {"model.safetensors": weights(1)}
    set_scanners(world, modelscan.item).expect(0)
    said = scan(world, released(world, "plain", files)).expect(6)
    assert said.data["scans"][1]["exit"] == NOTHING_KNOWN
    line = f'{modelscan.command[0]} -p "$AIRLIFT_RELEASE"; code=$?; [ $code = 3 ] || exit $code'
    set_scanners(world, {**modelscan.item, "command": ["sh", "-c", line]}).expect(0)
    scan(world, "demo@plain").expect(0)
    assert scan(world, modelscan.release(world, "bad")).expect(6).data["scans"][1]["exit"] == 1
