"""A cluster on dask: two real workers, one killed in the middle, and the bundle of one process (L4.22)."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import World
from tests.cli.test_shards import BUNDLE, KEY, same
from tests.support.dask_cluster import DaskCluster, cluster_python, dask_cluster

PATIENCE = 240.0


@pytest.fixture(scope="module")
def alone(prepared: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world with the bundle of one process in ``alone``."""
    world = prepared.copy(tmp_path_factory.mktemp("alone") / "world")
    world.quick(*BUNDLE, "--output", "alone", *KEY).expect(0)
    return world


@pytest.fixture
def world(alone: World, tmp_path: Path) -> World:
    return alone.copy(tmp_path / "world")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path / "cluster") as running:
        yield running


def command(world: World, *words: str) -> "subprocess.Popen[str]":
    """Begin a command under the Python that has distributed."""
    return subprocess.Popen(
        [cluster_python(), "-m", "airlift", *BUNDLE, *words, "--format", "json"],
        cwd=world.folder,
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


def made(world: World) -> int:
    return len(list((world.folder / "shared").glob("airlift-shard-*/blocks")))


def test_two_workers_of_which_one_is_lost(world: World, cluster: DaskCluster) -> None:
    """It costs the shard that it was coding: the other one codes that too, and the bytes are the same."""
    running = command(world, *cluster.words(), "--shards", "6", "--output", "shared")
    wait(lambda: made(world) >= 1, running)
    cluster.kill(0)
    assert made(world) < 6
    assert running.poll() is None
    data = ended(running)["data"]
    assert (data["made"], data["already"], data["of"]) == ([1, 2, 3, 4, 5, 6], [], 6)
    assert made(world) == 6
    world.quick(*BUNDLE, "--join", "shared", "--output", "out", *KEY).expect(0)
    same(world, "out", "alone")
    again = ended(command(world, *cluster.words(), "--shards", "6", "--output", "shared"))["data"]
    assert (again["made"], again["already"]) == ([], [1, 2, 3, 4, 5, 6])


def test_shards_that_workers_cannot_make_are_named(world: World, cluster: DaskCluster) -> None:
    """What is there is kept, and the answer has the commands that show what is wrong."""
    done = ended(command(world, *cluster.words(), "--shards", "3", "--output", "shared", "--dry-run"))
    assert [part["there"] for part in done["data"]["parts"]] == [False] * 3
    assert made(world) == 0
    ended(command(world, "--shard", "2/3", "--output", "shared"))
    for folder in (world.folder / "shared").iterdir():
        stem = folder.name.removesuffix("0002of0003")
        (world.folder / "shared" / f"{stem}0003of0003").write_text("in the way\n")
    said = ended(command(world, *cluster.words(), "--shards", "3", "--output", "shared"), 4)
    assert said["error"]["code"] == "shards-missing"
    assert said["data"]["missing"] == [3]
    assert said["data"]["commands"][0].endswith("--shard 3/3")
    assert "exit 8" in said["error"]["found"]
    assert made(world) == 2


def test_nobody_answers(world: World, tmp_path: Path) -> None:
    from airlift.low.bundle.sharding import cluster

    assert cluster.CONNECT_SECONDS <= 30
    with dask_cluster(tmp_path / "cluster", workers=0) as running:
        said = ended(command(world, *running.words(), "--shards", "2", "--output", "shared"), 7)
        assert "no worker answers" in said["error"]["message"]
    said = ended(command(world, *running.words(), "--shards", "2", "--output", "shared"), 7)
    assert "no scheduler answers" in said["error"]["message"]


def test_strangers_are_not_asked(world: World, cluster: DaskCluster, tmp_path: Path) -> None:
    """A certificate of another authority."""
    from tests.support.web_server import certificates

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
            world, *map(str, words), "--cluster-key", str(other.key), "--shards", "2", "--output", "shared"
        ),
        7,
    )
    assert "no scheduler answers" in said["error"]["message"]
    assert made(world) == 0


# -- without a cluster -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--cluster", "tls://head", "--shards", "2"), "is no address"),
        (("--cluster", "http://head:8786", "--shards", "2"), "is no address"),
        (("--cluster", "tls://a b:1", "--shards", "2"), "is no address"),
        (("--cluster", "tcp://head:8786", "--shards", "2"), "is not protected by TLS"),
        (("--cluster", "tcp://192.0.2.1:8786", "--shards", "2"), "is not protected by TLS"),
        (("--cluster", "tcp://[2001:db8::1]:8786", "--shards", "2"), "is not protected by TLS"),
        (("--cluster", "tcp://127.0.0.1.example:8786", "--shards", "2"), "is not protected by TLS"),
        (("--cluster", "tls://127.0.0.1:8786", "--shards", "2"), "TLS needs to know"),
        (
            ("--cluster", "tls://127.0.0.1:8786", "--shards", "2", "--cluster-ca", "ca.pem"),
            "TLS needs to know",
        ),
        (("--cluster", "tls://head:8786"), "how many shards"),
        (("--cluster", "tls://head:8786", "--shards", "2", *KEY), "--cluster does not go with --bundler-key"),
        (
            ("--cluster", "tls://head:8786", "--shards", "2", "--join", "x"),
            "--cluster does not go with --join",
        ),
        (("--cluster", "tls://head:8786", "--shard", "1/2"), "--shard does not go with --cluster"),
    ],
)
def test_words_that_make_no_sense(world: World, words: tuple[str, ...], said: str) -> None:
    done = world.quick(*BUNDLE, "--output", "out", *words, "--format", "json").expect(2)
    assert said in done.error["message"]
    assert done.error["hint"]
    assert not (world.folder / "out").exists()


def test_what_a_worker_runs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strings and integers in, a digest out; what the command says of a failure goes along."""
    from airlift.low.bundle.sharding import cluster

    monkeypatch.chdir(world.folder)
    words = json.dumps([*BUNDLE, "--output", str(world.folder / "shared")])
    digest = cluster.code_part(words, 1, 2)
    (path,) = (world.folder / "shared").glob("*-0001of0002/blocks")
    assert path.read_bytes()[-64:].hex() == digest
    with pytest.raises(RuntimeError, match=r"exit 2: .* names no shard"):
        cluster.code_part(words, 3, 2)
