"""Accreditation: the example stack's whole history, every question, every answer checked with a public key alone.

Five bundles (a full one, three deltas, a renewal that rotates the bundler's key), a rejected import, a roll back,
attestations made on both sides, approvals, a witness.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airlift import verify as verifier
from tests.cli.conftest import World
from tests.cli.transcript import Transcript
from tests.support.enclaves import flip

MANIFESTS = Path(__file__).parents[2] / "manifests"
VERSIONS = ("2026.11.0", "2026.11.1", "2026.11.2", "2026.11.3")
KEYS = ("root-ada", "root-bo", "release-cy", "release-di", "build-old", "build-new", "ledger", "scanner", "issm",
        "owner", "auditor")  # fmt: skip
SIGNERS = ("--key", "keys/release-cy.key", "--key", "keys/release-di.key")
POLICY = """airlift: 1
enclave: alpha
attestations:
  scan: {threshold: 1, keys: [keys/scanner.pub]}
  approval: {threshold: 2, keys: [keys/issm.pub, keys/owner.pub]}
requires:
  - {kind: model, needs: guard, version: ">=2.0"}
"""


class History:
    """A depot and an enclave that went through all of it."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.folder = folder
        self.bundles: list[list[Path]] = []
        for name in KEYS:
            self.run("keys", "generate", name, "--out", "keys", "--no-passphrase")
        self.low_side()
        self.high_side()

    def run(self, *words: str | Path, expect: int = 0) -> dict[str, Any]:
        done: Transcript = self.world.quick(*words, "--format", "json").expect(expect)
        return done.data

    def low_side(self) -> None:
        self.run(
            *("low", "init", "--root-key", "keys/root-ada.key", "--root-key", "keys/root-bo.key"),
            *(
                "--root-threshold",
                "2",
                "--release-key",
                "keys/release-cy.key",
                "--release-key",
                "keys/release-di.key",
            ),
            *("--release-threshold", "2", "--bundler-key", "keys/build-old.key"),
        )
        claim = self.folder / "claim.json"
        for number, version in enumerate(VERSIONS):
            release = f"assistant@{version}"
            self.run("low", "release", MANIFESTS / f"assistant-{version}.yaml", *SIGNERS)
            claim.write_text(json.dumps({"verdict": "pass", "scanner": "clamav 1.4", "score": 0.5}))
            self.run(
                "low", "attest", release, "--type", "scan", "--predicate", claim, "--key", "keys/scanner.key"
            )
            if version != VERSIONS[3]:  # the last release is approved on the high side
                for name in ("issm", "owner"):
                    self.run(
                        *("low", "attest", release, "--type", "approval", "--predicate", claim),
                        *("--key", f"keys/{name}.key"),
                    )
            baseline = ("none", *(f"assistant@{VERSIONS[n]}" for n in (0, 1, 0)))[
                number
            ]  # the last one is merged
            made = self.run(
                *(
                    "low",
                    "bundle",
                    release,
                    "--for",
                    "alpha",
                    "--from",
                    baseline,
                    "--output",
                    f"out-{number}",
                ),
                *("--bundler-key", "keys/build-old.key"),
            )
            self.bundles.append([self.folder / item["path"] for item in made["volumes"]])

    def rotate(self) -> None:
        """Give the build machine another key; a renewal carries it across."""
        roots = ("--key", "keys/root-ada.key", "--key", "keys/root-bo.key")
        self.run(
            *("low", "rotate", "bundler", "--add", "keys/build-new.key", "--remove", "keys/build-old.pub"),
            *(*roots, *SIGNERS),
        )
        made = self.run(
            *("low", "renew", "--output", "out-4", "--bundler-key", "keys/build-new.key"),
        )
        self.bundles.append([self.folder / item["path"] for item in made["volumes"]])

    def high_side(self) -> None:
        (self.folder / "policy.yaml").write_text(POLICY)
        self.run(
            *("high", "init", "--root", "depot/root.json", "--yes", "--name", "alpha"),
            *("--ledger-key", "keys/ledger.key", "--policy", "policy.yaml"),
        )
        self.run("high", "import", *self.bundles[0], "--activate")
        self.run("high", "import", *self.forged(1), "--activate", expect=3)
        self.run("high", "import", *self.bundles[1], "--activate")
        self.run("high", "import", *self.bundles[2], "--activate")
        self.run("provenance", "witness", "--key", "keys/auditor.key", "--output", "first.note")
        self.run("high", "rollback", "--yes")
        self.run("high", "import", *self.bundles[3], "--activate", expect=6)
        self.run("high", "import", *self.bundles[3])
        for name in ("issm", "owner"):
            self.run(
                "high", "approve", f"assistant@{VERSIONS[3]}", "--key", f"keys/{name}.key", "--reason", "ok"
            )
        self.run("high", "activate", f"assistant@{VERSIONS[3]}")
        self.rotate()
        self.run("high", "import", *self.bundles[4])
        self.run("provenance", "witness", "--key", "keys/auditor.key", "--checkpoint", "first.note")

    def forged(self, number: int) -> list[Path]:
        """Return a copy of a bundle with a bit flipped in a chunk."""
        copies = [self.folder / "forged" / volume.name for volume in self.bundles[number]]
        for volume, copy in zip(self.bundles[number], copies, strict=True):
            shutil.copytree(volume, copy)
        flip(max((copies[0] / "chunks").iterdir(), key=lambda path: path.stat().st_size), -1)
        return copies


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return History(tmp_path_factory.mktemp("accreditation"))


@pytest.fixture(scope="module")
def bare(require_tool: Callable[[str], str]) -> str:
    """Return a Python whose environment has ``cryptography`` and what that needs, and nothing else."""
    python = require_tool(os.environ.get("AIRLIFT_BARE_PYTHON", "airlift-bare-python"))
    lists = "import importlib.metadata as m; print(*sorted(d.name.lower() for d in m.distributions()))"
    names = set(
        subprocess.run([python, "-I", "-c", lists], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "cryptography" in names
    assert names <= {"cryptography", "cffi", "pycparser", "pip", "setuptools", "typing_extensions"}
    return python


def questions(history: History) -> list[tuple[str, ...]]:
    """Return every question that people ask, about everything there is."""
    digest = history.run("high", "list")["releases"][0]["components"][0]["digest"]
    shown = history.run("provenance", "show", "guard@2.0")["node"]["parents"]
    file = next(node["digest"] for node in shown if node["kind"] == "file")
    key = history.run("keys", "show", "keys/build-old.pub")["keys"][0]["key_id"]
    return [
        *(("show", name) for name in ("assistant@2026.11.1", "guard@2.1", "alpha-2", digest)),
        *(("trace", name) for name in ("base", "adapter-docs", "assistant@2026.11.3", "alpha-4", file, "any-5")),
        ("at", "2100-01-01"),
        ("during", "guard@2.0"),
        ("during", "base@1.0.post1"),
        *(("where", name) for name in (key, "build-old", "scanner", "guard@2.1", "alpha-3", digest[:12])),
        ("history",),
        ("history", "--component", "guard", "--limit", "5"),
        ("history", "--type", "import-reject"),
        ("verify",),
        ("verify", "--checkpoint", "first.note"),
    ]  # fmt: skip


def test_every_answer_is_proven_with_a_public_key_alone(history: History, bare: str, tmp_path: Path) -> None:
    shutil.copy(verifier.__file__, tmp_path / "verify.py")
    shutil.copy(history.folder / "keys/ledger.pub", tmp_path)
    asked = questions(history)
    for number, words in enumerate(asked):
        answer = history.world.quick("provenance", *words, "--prove", "--format", "json").expect(0).out
        (tmp_path / f"{number}.json").write_text(answer)
        done = subprocess.run(
            [bare, "-I", "verify.py", f"{number}.json", "--public-key", "ledger.pub"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (words, done.stderr)
    assert len(asked) > 20


def test_a_receipt_and_an_export_too(history: History, bare: str, tmp_path: Path) -> None:
    shutil.copy(verifier.__file__, tmp_path / "verify.py")
    history.run("high", "receipt", "--output", tmp_path / "receipt.json")
    history.run("provenance", "export", "--as", "ledger", "--output", tmp_path / "ledger.jsonl")
    for name in ("receipt.json", "ledger.jsonl"):
        words = [
            name,
            "--public-key",
            history.folder / "keys/ledger.pub",
            "--witness",
            history.folder / "keys/auditor.pub",
        ]
        done = subprocess.run(
            [bare, "-I", "verify.py", *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


# -- what the answers say ------------------------------------------------------------------------------------------


def kinds(history: History, *words: str) -> list[str]:
    return [entry["type"] for entry in history.run("provenance", *words)["entries"]]


def test_the_history_is_told_as_it_was(history: History) -> None:
    told = [kind for kind in kinds(history, "history") if not kind.endswith("-prepare")]
    assert told == [
        "enroll", "import-commit", "activate-commit", "import-reject", "import-commit", "activate-commit",
        "import-commit", "activate-commit", "rollback-commit", "import-reject", "import-commit", "attestation",
        "attestation", "activate-commit", "import-commit",
    ]  # fmt: skip
    rejected = history.run("provenance", "history", "--type", "import-reject")["entries"]
    assert [entry["detail"]["exit"] for entry in rejected] == [3, 6]


def test_what_ran_while_a_guard_was_active(history: History) -> None:
    found = history.run("provenance", "during", "guard@2.0")["periods"]
    assert [period["release"] for period in found] == ["assistant@2026.11.0"]
    beside = {item["name"]: item["version"] for item in found[0]["components"]}
    assert (beside["base"], beside["guard"]) == ("1.0", "2.0")
    again = history.run("provenance", "during", "guard@2.1")["periods"]
    assert [p["release"] for p in again] == [f"assistant@2026.11.{n}" for n in (1, 2, 1, 3)]


def test_what_came_in_through_a_key_that_was_rotated_out(history: History) -> None:
    old = history.run("provenance", "where", "build-old", "--type", "import-commit")
    new = history.run("provenance", "where", "build-new", "--type", "import-commit")
    assert old["bundles"] == ["alpha-1", "alpha-2", "alpha-3", "alpha-4"]
    assert new["bundles"] == ["any-5"]
    assert "base@1.0.post1" in old["components"]


def nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(inner for parent in node["parents"] for inner in nodes(parent))]


def test_the_lineage_of_a_merged_model(history: History) -> None:
    (node,) = history.run("provenance", "trace", "base@1.0.post1")["nodes"]
    found = {(item["relation"], item["kind"], item["name"]) for item in nodes(node)}
    assert {
        ("merged-from", "component", "base"),
        ("merged-from", "component", "adapter-docs"),
        ("gathered-from", "source", "path:../examples/stack/base-1.0-merged"),
        ("licensed-under", "licence", "Apache-2.0"),
        ("carried-by", "bundle", "alpha-4"),
        ("delta-from", "release", "assistant"),
        ("signed-by targets", "key", "release-cy"),
        ("signed-by bundler", "key", "build-old"),
        ("attested-by", "attestation", "scan"),
        ("approved-by", "key", "issm"),
        ("approved-by", "key", "owner"),
        ("came-on", "volume", "airlift-alpha-4-vol01of01"),
    } <= found
    assert any(item["kind"] == "delta" and item["name"] in {"adapter", "lowrank"} for item in nodes(node))


def test_what_the_hot_fix_changed(history: History) -> None:
    data = history.run("provenance", "changes", "assistant@2026.11.1", "--tensors")
    changed = {item["name"]: item["change"] for item in data["components"]}
    assert (changed["base"], changed["guard"], changed["tokenizer"]) == ("changed", "changed", "unchanged")
    base = [item for item in data["tensors"] if item["component"] == "base"]
    assert 0 < sum(item["changed"] for item in base) / sum(item["elements"] for item in base) < 0.05
    assert all(item["ulps"] > 0 for item in base)


def test_documents_and_report(history: History, tmp_path: Path) -> None:
    for kind in ("cyclonedx", "spdx", "oscal", "intoto"):
        data = history.run(
            "provenance", "export", "--as", kind, "--output", tmp_path / kind, "--witness", "keys/auditor.pub"
        )
        assert data["release"] == "assistant@2026.11.3"
    assert len((tmp_path / "intoto").read_bytes().splitlines()) == 4 * 3 + 6 + 2
    history.run("provenance", "report", "--output", tmp_path / "report.html", "--witness", "keys/auditor.pub")
    page = (tmp_path / "report.html").read_text()
    assert "witness-" in page
    assert "not verified" not in page
    findings = json.loads((tmp_path / "oscal").read_text())["assessment-results"]["results"][0]["findings"]
    state = {item["target"]["target-id"]: item["target"]["status"]["state"] for item in findings}
    assert state["cm-3_obj"] == state["au-9_obj"] == state["sr-4_obj"] == "satisfied"
    assert state["sr-11_obj"] == state["mp-5_obj"] == "not-satisfied"
