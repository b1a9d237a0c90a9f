"""A cluster on dask: two real workers, one killed in the middle, and the bundle of one process (L4.22)."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airlift.low.bundle.sharding import cluster as cluster_module
from tests.support.dask_cluster import DaskCluster, cluster_python, dask_cluster
from tests.support.depots import Site, copy_site, signed_site
from tests.support.shards import DELTA, SMALL, held, join, stock
from tests.support.web_server import certificates

PATIENCE = 240.0
BUNDLE = ("low", "bundle", "assistant@2", "--from", "assistant@1", "--max-file-size", "70000")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return stock(signed_site(tmp_path_factory.mktemp("template")))


@pytest.fixture
def site(template: Site, tmp_path: Path) -> Site:
    return copy_site(template, tmp_path)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path / "cluster") as running:
        yield running


def command(site: Site, *words: str) -> "subprocess.Popen[str]":
    """Begin a command under the Python that has distributed."""
    return subprocess.Popen(
        [cluster_python(), "-m", "airlift", *BUNDLE, *words, "--format", "json"],
        cwd=site.folder,
        env={name: value for name, value in os.environ.items() if name != "AIRLIFT_DEPOT"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: "subprocess.Popen[str]", code: int = 0) -> dict[str, Any]:
    """Return the answer of a command that ends with this code."""
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, f"{out}\n{err}"
    answer: dict[str, Any] = json.loads(out)
    return answer


def wait(so: Callable[[], bool], running: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + PATIENCE
    while not so():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)


def made(site: Site) -> int:
    return len(list((site.folder / "shared").glob("airlift-shard-*/blocks")))


def test_two_workers_of_which_one_is_lost(site: Site, cluster: DaskCluster) -> None:
    """It costs the shard that it was coding: the other one codes that too, and the bytes are the same."""
    running = command(site, *cluster.words(), "--shards", "6", "--output", "shared")
    wait(lambda: made(site) >= 1, running)
    cluster.kill(0)
    assert made(site) < 6
    assert running.poll() is None
    data = ended(running)["data"]
    assert (data["made"], data["already"], data["of"]) == ([1, 2, 3, 4, 5, 6], [], 6)
    assert made(site) == 6
    assert held(join(site)) == held(site.bundle(**DELTA, output="alone", medium=SMALL))
    again = ended(command(site, *cluster.words(), "--shards", "6", "--output", "shared"))["data"]
    assert (again["made"], again["already"]) == ([], [1, 2, 3, 4, 5, 6])


def test_shards_that_workers_cannot_make_are_named(site: Site, cluster: DaskCluster) -> None:
    """What is there is kept, and the answer has the commands that show what is wrong."""
    done = ended(command(site, *cluster.words(), "--shards", "3", "--output", "shared", "--dry-run"))
    assert [part["there"] for part in done["data"]["parts"]] == [False] * 3
    assert made(site) == 0
    ended(command(site, "--shard", "2/3", "--output", "shared"))
    for folder in (site.folder / "shared").iterdir():
        stem = folder.name.removesuffix("0002of0003")
        (site.folder / "shared" / f"{stem}0003of0003").write_text("in the way\n")
    said = ended(command(site, *cluster.words(), "--shards", "3", "--output", "shared"), 4)
    assert said["error"]["code"] == "shards-missing"
    assert said["data"]["missing"] == [3]
    assert said["data"]["commands"][0].endswith("--shard 3/3")
    assert "exit 8" in said["error"]["found"]
    assert made(site) == 2


def test_nobody_answers(site: Site, tmp_path: Path) -> None:
    with dask_cluster(tmp_path / "cluster", workers=0) as running:
        said = ended(command(site, *running.words(), "--shards", "2", "--output", "shared"), 7)
        assert "no worker answers" in said["error"]["message"]
    said = ended(command(site, *running.words(), "--shards", "2", "--output", "shared"), 7)
    assert "no scheduler answers" in said["error"]["message"]


def test_strangers_are_not_asked(site: Site, cluster: DaskCluster, tmp_path: Path) -> None:
    """A certificate of another authority."""
    (tmp_path / "other").mkdir()
    other = certificates(tmp_path / "other")
    words = (
        "--cluster",
        cluster.address,
        "--cluster-ca",
        other.authority,
        "--cluster-cert",
        other.certificate,
    )
    said = ended(
        command(
            site, *map(str, words), "--cluster-key", str(other.key), "--shards", "2", "--output", "shared"
        ),
        7,
    )
    assert "no scheduler answers" in said["error"]["message"]
    assert made(site) == 0


# -- without a cluster -----------------------------------------------------------------------------------------------


def test_a_coder_that_was_killed_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """What broke: nothing is no JSON, and that was the message of a process that the system killed for its memory."""
    said = subprocess.CompletedProcess([], -9, b"", b"before it was over\n")
    monkeypatch.setattr(subprocess, "run", lambda *_words, **_options: said)
    with pytest.raises(RuntimeError, match="signal 9: it said before it was over"):
        cluster_module.code_part("[]", 1, 2)


def test_what_a_worker_runs(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strings and integers in, a digest out; what the command says of a failure goes along."""
    monkeypatch.chdir(site.folder)
    words = json.dumps([*BUNDLE, "--output", str(site.folder / "shared")])
    digest = cluster_module.code_part(words, 1, 2)
    (path,) = (site.folder / "shared").glob("*-0001of0002/blocks")
    assert path.read_bytes()[-64:].hex() == digest
    with pytest.raises(RuntimeError, match=r"exit 2: .* names no shard"):
        cluster_module.code_part(words, 3, 2)
