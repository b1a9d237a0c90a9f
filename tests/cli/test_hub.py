"""From a hub on this machine to a published release, through the command line (SPEC L2.10, L3.6)."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.cli.conftest import World, make_depot
from tests.cli.transcript import COMMAND, Transcript, airlift, tree
from tests.support.hub_server import Fault, HubServer, serving
from tests.support.weights import weights

REPO = "org/tiny"
TOKEN = "hf_" + "Secret0123" * 3
NAME = "model.safetensors"
FILES = {"config.json": b'{"model_type": "tiny"}', "LICENSE": b"Apache", NAME: weights(1)}
KEYS = ("--key", "keys/release-cy.key", "--key", "keys/release-di.key")


@dataclass(frozen=True)
class Hubbed:
    """A low side, and the hub that it asks."""

    world: World
    server: HubServer

    @property
    def environment(self) -> dict[str, str]:
        """Where the hub is, and a cache of its own."""
        return {
            "HF_ENDPOINT": self.server.address,
            "HF_HOME": str(self.world.folder / "home"),
            "HF_TOKEN": TOKEN,
            "NO_PROXY": "127.0.0.1",
        }

    @property
    def cache(self) -> Path:
        """The usual cache."""
        return self.world.folder / "home" / "hub"

    def run(self, *words: str | Path) -> Transcript:
        """Run a command in a process of its own."""
        said = airlift(*words, cwd=self.world.folder, environment=self.environment)
        assert TOKEN not in said.out + said.err
        return said

    def manifest(self, commit: str, version: str = "1") -> str:
        """Write a release manifest with one component of the hub."""
        (self.world.folder / "r.yaml").write_text(
            f"airlift: 1\nrelease: r\nversion: '{version}'\nmarking: {{level: UNCLASSIFIED}}\ncomponents:\n"
            f"  - {{name: base, kind: model, version: '{version}', license: Apache-2.0,"
            f" source: {{hub: {REPO}, revision: '{commit}'}}}}\n"
        )
        return "r.yaml"

    def contents(self) -> list[str]:
        """Return what the depot's content holds, unfinished files too."""
        folder = self.world.folder / "depot" / "content"
        return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with keys and an empty depot, which nobody changes."""
    pytest.importorskip("huggingface_hub")
    world = World(tmp_path_factory.mktemp("low"))
    make_depot(world)
    return world.folder


@pytest.fixture
def low(tmp_path: Path, empty: Path) -> Iterator[Hubbed]:
    """An empty depot, and a hub whose repository wants a token."""
    folder = tmp_path / "low"
    shutil.copytree(empty, folder, symlinks=True)
    with serving() as server:
        server.repo(REPO).token = TOKEN
        yield Hubbed(World(folder), server)


def depot_of(low: Hubbed) -> dict[str, tuple[int, int]]:
    """Return what the depot holds; its lock tells of a command that failed."""
    return {path: item for path, item in tree(low.world.folder / "depot").items() if path != "lock"}


def test_from_a_hub_to_a_release(low: Hubbed) -> None:
    commit = low.server.repo(REPO).commit(FILES)
    words = ("low", "fetch", REPO, "--revision", commit)
    planned = low.run(*words, "--dry-run", "--format", "json").expect(0).data
    total = sum(map(len, FILES.values()))
    assert (planned["bytes"], planned["to_come"]) == (total, total)
    assert planned["sizes"] == {name: len(data) for name, data in FILES.items()}
    assert not low.cache.exists()
    fetched = low.run(*words, "--format", "json").expect(0).data
    assert (fetched["bytes"], fetched["came"]) == (total, total)
    assert {name: Path(path).read_bytes() for name, path in fetched["paths"].items()} == FILES
    again = low.run(*words).expect(0)
    assert "came in" in again.out
    assert f"a manifest for it: airlift low draft {fetched['folder']}" in again.err
    drafted = low.run("low", "draft", fetched["folder"], "--format", "json").expect(0)
    assert f"hub: {REPO}\n      revision: {commit}\n" in drafted.data["manifest"].replace("'", "")

    before = low.server.sent()
    made = low.run("low", "release", low.manifest(commit), *KEYS, "--format", "json").expect(0).data
    assert made["published"]
    assert low.server.sent() == before == total  # once, whatever the number of commands

    assert not [
        row
        for row in low.run("low", "outdated", "--format", "json").expect(0).data["sources"]
        if row["outdated"]
    ]
    moved = low.server.repo(REPO).commit({**FILES, "new.txt": b"x"})
    (source,) = low.run("low", "outdated", "--format", "json").expect(0).data["sources"]
    assert (source["outdated"], source["revision"], source["newest"]) == (True, commit, moved)

    held = [path for path in low.world.folder.rglob("*") if path.is_file()]
    assert [path for path in held if TOKEN.encode() in path.read_bytes()] == []


def test_a_release_fetches_what_it_needs(low: Hubbed) -> None:
    commit = low.server.repo(REPO).commit(FILES)
    low.server.faults = [Fault("/delivered/", cut=1000)]
    said = low.run("low", "release", low.manifest(commit), *KEYS).expect(0)
    assert f"{NAME} of {REPO} broke off" in said.err
    assert "trying again in 1 s, 1 of 5" in said.err
    assert low.server.sent() == sum(map(len, FILES.values()))


def test_wrong_bytes_do_not_enter_the_depot(low: Hubbed) -> None:
    commit = low.server.repo(REPO).commit(FILES)
    depot = depot_of(low)
    low.server.faults = [Fault("/delivered/", times=9, change=lambda data: data[:-1] + b"?")]
    said = low.run("low", "release", low.manifest(commit), *KEYS, "--format", "json").expect(3)
    assert said.error["code"] == "digest-mismatch"
    assert f"`airlift low fetch {REPO} --revision {commit}`" in said.error["hint"]
    assert depot_of(low) == depot


def test_a_cache_that_is_wrong_is_refused_and_mended(low: Hubbed) -> None:
    """Files in LFS that were in the cache are digested once, by the depot, and refused before it keeps them."""
    commit = low.server.repo(REPO).commit(FILES)
    words = ("low", "fetch", REPO, "--revision", commit)
    (blob,) = (
        path
        for name, path in low.run(*words, "--format", "json").expect(0).data["paths"].items()
        if name == NAME
    )
    Path(blob).write_bytes(FILES[NAME][:-1] + b"?")
    said = low.run("low", "release", low.manifest(commit), *KEYS, "--format", "json").expect(3)
    assert said.error["message"] == f"component base: {NAME} is not what the endpoint says it is"
    assert said.error["hint"] == (
        f"fetch it anew: `airlift low {' '.join(words[1:])}`, then run the same command again"
    )
    assert low.contents() == []
    mended = low.run(*words).expect(0)
    assert f"{NAME} of {REPO} in the cache is not what the endpoint lists: fetching it anew" in mended.err
    low.run("low", "release", "r.yaml", *KEYS).expect(0)


@pytest.mark.parametrize(
    ("fault", "code", "error"),
    [
        (Fault("/api/", times=99, status=404, headers={"X-Error-Code": "RepoNotFound"}), 5, "release-not-held"),
        (Fault(NAME, times=99, status=404, headers={"X-Error-Code": "EntryNotFound"}), 5, "release-not-held"),
        (Fault("/api/", times=99, status=403, headers={"X-Error-Code": "GatedRepo"}), 7, "unreadable"),
        (Fault("/delivered/", times=99, change=lambda data: data + b"?"), 3, "digest-mismatch"),
        (Fault("/resolve-cache/", times=99, change=lambda data: b"?" + data[1:]), 3, "digest-mismatch"),
    ],
    ids=lambda value: str(value) if isinstance(value, str | int) else value.where.strip("/") + str(value.status),
)  # fmt: skip
def test_exit_codes(low: Hubbed, fault: Fault, code: int, error: str) -> None:
    """Both commands say the same, nothing is half done, and what follows is said."""
    commit = low.server.repo(REPO).commit(FILES)
    depot = depot_of(low)
    for words in (
        ("low", "fetch", REPO, "--revision", commit),
        ("low", "release", low.manifest(commit), *KEYS),
    ):
        low.server.faults = [replace(fault)]
        said = low.run(*words, "--format", "json").expect(code)
        assert (said.error["code"], said.error["exit"]) == (error, code)
        assert "see `airlift" not in said.error["hint"]
        assert not list(low.cache.rglob(f"snapshots/*/{NAME}"))
    assert depot_of(low) == depot


def test_outdated_does_not_call_gone_what_it_may_not_see(low: Hubbed) -> None:
    commit = low.server.repo(REPO).commit(FILES)
    low.run("low", "release", low.manifest(commit), *KEYS).expect(0)
    low.server.repo(REPO).gated = True
    low.server.repo(REPO).token = "another"
    assert low.run("low", "outdated", "--format", "json").expect(7).error["code"] == "unreadable"
    del low.server.repos[REPO]
    gone = low.run("low", "outdated", "--format", "json").expect(0)
    assert gone.data["sources"][0]["newest"] is None
    assert f"the hub has no branch main of {REPO} any more" in gone.err


def test_hostile_names_are_refused_before_a_file_is_written(low: Hubbed) -> None:
    commit = low.server.repo(REPO).commit({**FILES, "../../../../escaped.json": b"{}"})
    before = set(low.world.folder.parent.rglob("*"))
    said = low.run("low", "fetch", REPO, "--revision", commit, "--format", "json").expect(2)
    assert (said.error["code"], said.error["hint"]) == (
        "file-forbidden",
        "leave the file out: --exclude GLOB",
    )
    assert set(low.world.folder.parent.rglob("*")) == before
    low.run("low", "fetch", REPO, "--revision", commit, "--exclude", "../*").expect(0)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_a_command_that_was_ended_is_taken_up_again(low: Hubbed, ending: signal.Signals) -> None:
    """What came in stays, measured by what the server sent."""
    large = bytes(range(256)) * 40_000  # 10 MB
    commit = low.server.repo(REPO).commit({NAME: large})
    low.server.faults = [Fault("/delivered/", drip=0.1)]
    words = ("low", "fetch", REPO, "--revision", commit, "--format", "json")
    running = subprocess.Popen(
        ["env", "--default-signal=INT", *COMMAND, *words],  # what was begun in the background ignores it
        cwd=low.world.folder,
        env={**os.environ, **low.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    while low.server.sent() < 2_000_000 and time.monotonic() < until:
        time.sleep(0.02)
    running.send_signal(ending)
    assert running.wait(60) != 0
    (partial,) = low.cache.rglob("*.airlift-incomplete")
    kept = partial.stat().st_size
    assert kept > 1_000_000
    while any(one.sent < len(large) and one.status == 0 for one in low.server.files_asked()):
        time.sleep(0.02)
    low.server.faults, low.server.asked[:] = [], []
    data = low.run(*words).expect(0).data
    assert low.server.sent() == data["came"] == len(large) - kept
    assert Path(data["paths"][NAME]).read_bytes() == large
    assert not list(low.cache.rglob("*.airlift-incomplete"))
