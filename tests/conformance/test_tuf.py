"""airlift's verifier beside the public suite tuf-conformance, over loopback (SPEC 4.4).

The suite is in no package registry, so ``.ci/run`` cannot install it: whoever has it names, in
``AIRLIFT_TUF_CONFORMANCE``, a Python that imports ``tuf_conformance`` (with tuf 7.0 and securesystemslib 1.6, which
sign with ML-DSA). What the client program does is tested without it.
"""

import hashlib
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from tests.arch.test_citations import exists, sections
from tests.support.trust_simulator import RELEASE, Simulator, target

HERE = Path(__file__).parent / "tuf"
CLIENT = HERE / "client.py"
LISTED: dict[str, Any] = yaml.safe_load((HERE / "exceptions.yaml").read_text())
FAILING = {name: entry for entry in LISTED["fail"] for name in entry["tests"]}
BY_REFUSAL = LISTED["pass_by_refusal"]


@dataclass(frozen=True)
class Outcome:
    """How a test of the suite ended, and what it and the client printed."""

    failed: bool
    text: str


# -- the suite -----------------------------------------------------------------------------------------------------


@pytest.fixture
def suite(tmp_path: Path, require_tool: Callable[[str], str]) -> Mapping[str, Outcome]:
    """Run the suite; return the outcome of each of its tests by name."""
    python = os.environ.get("AIRLIFT_TUF_CONFORMANCE")
    if not python:
        pytest.skip(
            "tuf-conformance is in no registry; AIRLIFT_TUF_CONFORMANCE can name a Python that has it"
        )
    require_tool("faketime")
    where = "import tuf_conformance; print(tuf_conformance.__path__[0])"
    found = subprocess.run([python, "-c", where], check=True, capture_output=True, text=True).stdout.strip()
    command = [python, "-m", "pytest", found, "-q", "-p", "airlift_profile", "-p", "no:cacheprovider"]
    command += ["--entrypoint", f"{sys.executable} {CLIENT}", f"--ignore={found}/{LISTED['left_out']}"]
    command += ["--junitxml=report.xml", "-o", "junit_logging=all", "-o", "junit_log_passing_tests=true"]
    environment = {**os.environ, "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return {case.attrib["name"]: outcome(case) for case in ET.parse(tmp_path / "report.xml").iter("testcase")}  # noqa: S314


def outcome(case: ET.Element) -> Outcome:
    parts = [case.findtext("system-err"), case.findtext("failure"), case.findtext("error")]
    return Outcome(any(part is not None for part in parts[1:]), "\n".join(part or "" for part in parts))


def objections(suite: Mapping[str, Outcome], listed: Mapping[str, Any]) -> set[str]:
    """Return the tests whose outcome is not what the list of exceptions says."""
    words = {name: entry["words"] for entry in listed["fail"] for name in entry["tests"]}
    by_refusal = listed["pass_by_refusal"]
    wrong = set(words) ^ {name for name, found in suite.items() if found.failed}
    wrong |= {name for name in set(words) & set(suite) if not re.search(words[name], suite[name].text)}
    refused = {name for name, found in suite.items() if re.search(by_refusal["words"], found.text)}
    return wrong | ((refused - set(words)) ^ set(by_refusal["tests"]))


@pytest.mark.timeout(1800)
def test_the_suite_passes_but_for_the_exceptions(suite: Mapping[str, Outcome]) -> None:
    wrong = objections(suite, LISTED)
    assert not wrong, {name: suite[name].text[-2000:] if name in suite else "is not there" for name in wrong}
    assert len(suite) == LISTED["tests"]


def test_a_list_of_exceptions_that_is_out_of_date_is_found() -> None:
    listed = {
        "fail": [{"words": "too old", "tests": ["a"]}],
        "pass_by_refusal": {"words": "too odd", "tests": ["b"]},
    }
    suite = {"a": Outcome(True, "too old"), "b": Outcome(False, "too odd"), "c": Outcome(False, "")}
    assert objections(suite, listed) == set()
    assert objections({**suite, "a": Outcome(False, "too old")}, listed) == {"a"}  # passes now
    assert objections({**suite, "a": Outcome(True, "broken")}, listed) == {"a"}  # fails for another reason
    assert objections({**suite, "b": Outcome(False, "")}, listed) == {"b"}
    assert objections({**suite, "c": Outcome(True, "")}, listed) == {"c"}
    assert objections({**suite, "c": Outcome(False, "too odd")}, listed) == {"c"}
    assert objections({"b": suite["b"]}, listed) == {"a"}  # is not there any more


def test_each_exception_has_one_place_and_a_rule() -> None:
    names = [name for entry in LISTED["fail"] for name in entry["tests"]] + BY_REFUSAL["tests"]
    assert len(names) == len(set(names))
    assert all(entry["reason"] and exists(entry["rule"], sections()) for entry in LISTED["fail"])


def test_the_document_states_these_numbers() -> None:
    text = (Path(__file__).parents[2] / "docs" / "RELIABILITY.md").read_text()
    total, failing, refusals = LISTED["tests"], len(FAILING), len(BY_REFUSAL["tests"])
    assert f"| tuf-conformance | {total} | {total - failing} | {failing} |" in text
    assert f"{refusals} of those that pass" in text
    for rule in {entry["rule"] for entry in LISTED["fail"]}:
        count = sum(len(entry["tests"]) for entry in LISTED["fail"] if entry["rule"] == rule)
        assert re.search(rf"^\| SPEC {re.escape(rule)} \| {count} \|", text, re.MULTILINE), (rule, count)


# -- the client ----------------------------------------------------------------------------------------------------


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and prints nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
        """Print nothing."""


class Site:
    """A folder on loopback, and a client of it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.home = folder / "client"
        self.downloads = folder / "downloads"
        for path in (self.home, self.downloads, folder / "metadata", folder / "targets"):
            path.mkdir()

    def serve(self, simulator: Simulator) -> None:
        for name, data in simulator.publish().files.items():
            (self.folder / "metadata" / name).write_bytes(data)

    def run(self, *words: str) -> tuple[int, str]:
        command = [sys.executable, str(CLIENT), "--metadata-dir", str(self.home)]
        command += ["--metadata-url", f"{self.url}/metadata/", "--target-base-url", f"{self.url}/targets/"]
        done = subprocess.run(
            [*command, "--target-dir", str(self.downloads), *words],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr

    def init(self) -> int:
        return self.run("init", str(self.folder / "metadata" / "1.root.json"))[0]

    def versions(self) -> dict[str, Any]:
        return {
            path.stem: yaml.safe_load(path.read_text())["signed"]["version"]
            for path in self.home.glob("*.json")
        }


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))
    Thread(target=server.serve_forever, daemon=True).start()
    yield Site(tmp_path, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


def fresh() -> Simulator:
    """Return a repository whose metadata has not expired by the clock of this machine."""
    simulator = Simulator()
    for signed in simulator.signed.values():
        signed["expires"] = "2099-01-01T00:00:00Z"
    return simulator


def test_the_client_refreshes_and_downloads(site: Site) -> None:
    simulator = fresh()
    listed = name_of("artifact")
    simulator.signed["targets"]["targets"][listed] = target(RELEASE)
    site.serve(simulator)
    (site.folder / "targets" / f"{target(RELEASE)['hashes']['sha512']}.{listed}").write_bytes(RELEASE)
    assert site.init() == 0
    assert site.run("refresh") == (0, "")
    assert site.versions() == {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}
    assert site.run("--target-name", "artifact", "download") == (0, "")
    assert [path.read_bytes() for path in site.downloads.iterdir()] == [RELEASE]
    assert site.run("--target-name", "other", "download")[0] == 1


def test_the_client_refuses_with_airlifts_words_and_keeps_its_state(site: Site) -> None:
    simulator = fresh()
    site.serve(simulator)
    site.init()
    assert site.run("refresh")[0] == 0
    site.serve(simulator.copy().bump())
    assert site.run("refresh")[0] == 0
    kept = site.versions()
    site.serve(simulator)  # older than what is trusted
    code, words = site.run("refresh")
    assert (code, site.versions()) == (1, kept)
    assert words.startswith("ReplayError: ")


def test_a_failure_of_the_client_is_no_refusal(site: Site) -> None:
    site.serve(fresh())
    site.init()
    (site.home / "enclave" / "roots" / "x.root.json").write_bytes(b"")
    assert site.run("refresh")[0] == 70


def name_of(artifact: str) -> str:
    """Return how the client asks for an artifact."""
    return f"release-{hashlib.sha256(artifact.encode()).hexdigest()}"
