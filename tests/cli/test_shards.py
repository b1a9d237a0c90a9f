"""Shards on the command line: the words, the answers, the refusals, and the examples (L4.20, L4.21)."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.arch.tree import ROOT
from tests.cli.conftest import World
from tests.serving.test_kubernetes import VERSIONS, validated
from tests.support.rebuild import load_bundle
from tests.support.small_slurm import small_slurm

SLURM = ROOT / "examples" / "slurm" / "shards.sbatch"
KUBERNETES = ROOT / "examples" / "kubernetes" / "shards.yaml"
KEY = ("--bundler-key", "keys/bundler.key")
BUNDLE = ("low", "bundle", "demo@2", "--from", "none", "--max-file-size", "300kB")


@pytest.fixture(scope="module")
def coded(prepared: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world with three shards of a bundle in ``shared``, and the bundle of one process in ``alone``."""
    world = prepared.copy(tmp_path_factory.mktemp("coded") / "world")
    for number in (1, 2, 3):
        world.quick(*BUNDLE, "--shard", f"{number}/3", "--output", "shared").expect(0)
    world.quick(*BUNDLE, "--output", "alone", *KEY).expect(0)
    return world


@pytest.fixture
def world(coded: World, tmp_path: Path) -> World:
    return coded.copy(tmp_path / "world")


def same(world: World, one: str, other: str) -> None:
    """Assert that the bundles in two folders are the same, but for their sequence and time."""
    made = [load_bundle(next((world.folder / name).glob("airlift-*"))) for name in (one, other)]
    assert (made[0].chunks, made[0].bases, made[0].files) == (made[1].chunks, made[1].bases, made[1].files)
    assert len(made[0].chunks) > 2


def join(world: World, *words: str) -> tuple[str, ...]:
    return (*BUNDLE, "--join", "shared", "--output", "out", *KEY, *words)


def test_a_bundle_is_joined(world: World) -> None:
    done = world.run(*join(world), "--format", "json").expect(0)
    assert done.data["sequence"] == world.run("low", "status", "--format", "json").expect(0).data["sequence"]
    same(world, "out", "alone")
    world.quick("low", "check", *sorted((world.folder / "out").iterdir())).expect(0)


def test_what_a_shard_says(world: World) -> None:
    again = world.quick(*BUNDLE, "--shard", "2/3", "--output", "shared", "--format", "json").expect(0)
    data = again.data
    assert (data["shard"], data["of"], data["already"], data["dry_run"]) == (2, 3, True, False)
    assert (data["target"], data["baseline"], data["baseline_known_by"]) == ("demo@2", None, "none")
    assert Path(world.folder / data["path"]).is_file()
    assert len(data["plan"]) == len(data["digest"]) == 128
    assert "nothing was coded" in again.err
    text = world.quick(*BUNDLE, "--shard", "2/3", "--output", "shared").expect(0)
    assert "already" in text.out


def test_a_dry_run_says_the_parts(world: World) -> None:
    words = (*BUNDLE, "--shard", "1/2", "--output", "new", "--dry-run")
    data = world.quick(*words, "--format", "json").expect(0).data
    assert [part["shard"] for part in data["parts"]] == [1, 2]
    assert sum(part["blocks"] for part in data["parts"]) > 2
    assert not any(part["there"] for part in data["parts"])
    assert (data["digest"], data["coded_bytes"]) == (None, None)
    assert not (world.folder / "new").exists()
    assert "target bytes" in world.quick(*words).expect(0).out
    there = world.quick(*BUNDLE, "--shard", "1/3", "--output", "shared", "--dry-run", "--format", "json")
    assert [part["there"] for part in there.expect(0).data["parts"]] == [True] * 3


def test_what_is_missing_is_named_with_the_commands_that_make_it(world: World) -> None:
    (gone,) = (world.folder / "shared").glob("*-0002of0003")
    shutil.rmtree(gone)
    said = world.quick(*join(world), "--format", "json").expect(4)
    assert said.error["code"] == "shards-missing"
    assert (said.data["missing"], said.data["of"]) == ([2], 3)
    (command,) = said.data["commands"]
    assert f"`{command}`" in said.error["hint"]
    name, *words = shlex.split(command)
    assert name == "airlift"
    world.quick(*words).expect(0)
    world.quick(*join(world, "--dry-run")).expect(0)
    assert not (world.folder / "out").exists()
    world.quick(*join(world)).expect(0)
    same(world, "out", "alone")


def test_shards_of_a_bundle_for_several_enclaves(world: World) -> None:
    enclaves = ("--for", "alpha", "--for", "bravo", "--from", "bravo=demo@1")
    words = ("low", "bundle", "demo@2", "--max-file-size", "300kB", *enclaves)
    first = world.quick(*words, "--shard", "1/2", "--output", "both", "--format", "json").expect(0)
    assert (first.data["baseline"], first.data["baseline_known_by"]) == (None, None)
    joining = (*words, "--join", "both", "--output", "out", *KEY)
    said = world.quick(*joining, "--format", "json").expect(4)
    (command,) = said.data["commands"]
    world.quick(*shlex.split(command)[1:]).expect(0)
    portions = world.quick(*joining, "--format", "json").expect(0).data["portions"]
    assert [(one["enclave"], one["baseline"]) for one in portions] == [("alpha", None), ("bravo", "demo@1")]
    world.quick(*words, "--output", "whole", *KEY).expect(0)
    same(world, "out", "whole")


def test_a_shard_that_is_wrong_is_named(world: World) -> None:
    (path,) = (world.folder / "shared").glob("*-0003of0003/blocks")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    said = world.quick(*join(world), "--format", "json").expect(3)
    assert said.error["code"] == "digest-mismatch"
    assert said.data["shard"] == 3
    assert str(path.parent.name) in said.error["hint"]
    assert path.read_bytes() == data
    assert not (world.folder / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--shard", "0/3"), "names no shard"),
        (("--shard", "3"), "names no shard"),
        (("--shard", "1/3", "--join", "shared"), "--shard does not go with --join"),
        (("--shard", "1/3", "--shards", "3"), "--shard does not go with --shards"),
        (("--shard", "1/3", *KEY), "--shard does not go with --bundler-key"),
        (("--shard", "1/3", "--explain"), "--shard does not go with --explain"),
        (("--shards", "3", *KEY), "--shards goes with --join"),
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
        ((), "--bundler-key"),
        (("--join", "shared"), "--bundler-key"),
    ],
)
def test_words_that_make_no_sense(world: World, words: tuple[str, ...], said: str) -> None:
    done = world.quick(*BUNDLE, "--output", "out", *words, "--format", "json").expect(2)
    assert said in done.error["message"]
    assert done.error["hint"]
    assert not (world.folder / "out").exists()


# -- examples --------------------------------------------------------------------------------------------------------


@pytest.fixture
def at_hand(tmp_path: Path) -> dict[str, str]:
    """An environment in which ``airlift`` is this one."""
    command = tmp_path / "bin" / "airlift"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m airlift "$@"\n')
    command.chmod(0o755)
    return {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"}


def test_the_array_job_codes_its_shards(world: World, at_hand: dict[str, str], tmp_path: Path) -> None:
    """In a real Slurm: all of them, then one that was lost alone, by the same script."""
    given = {"SHARDS": "3", "SHARED": str(world.folder / "array"), "BUNDLE": shlex.join(BUNDLE[2:])}

    def submit(tasks: str, environment: dict[str, str]) -> None:
        words = [
            "sbatch",
            f"--array={tasks}",
            "--wait",
            "--cpus-per-task=1",
            "--output=task-%a.txt",
            str(SLURM),
        ]
        done = subprocess.run(
            words,
            cwd=world.folder,
            env={**at_hand, **environment, "PATH": at_hand["PATH"], **given},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        said = [path.read_text() for path in sorted(world.folder.glob("task-*.txt"))]
        assert done.returncode == 0, (done.stderr, said)

    with small_slurm(tmp_path / "slurm") as environment:
        submit("1-3%2", environment)
        (lost,) = (world.folder / "array").glob("*-0002of0003")
        shutil.rmtree(lost)
        submit("2", environment)
        assert len(list((world.folder / "array").glob("*of0003/blocks"))) == 3
    world.quick(*BUNDLE, "--join", "array", "--output", "out", *KEY).expect(0)
    same(world, "out", "alone")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_indexed_job_is_what_kubernetes_reads(version: str) -> None:
    said = validated(KUBERNETES, version)
    assert (said.returncode, said.stdout) == (0, "")


def test_the_indexed_job_codes_its_shards(world: World, at_hand: dict[str, str]) -> None:
    """Its container's own command, index by index, with the places and the release of this test."""
    (job,) = [item for item in yaml.safe_load_all(KUBERNETES.read_text()) if item["kind"] == "Job"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    values = {item["name"]: item["value"] for item in container["env"]}
    assert values["SHARDS"] == str(job["spec"]["completions"])
    mounts = {item["mountPath"]: item.get("readOnly", False) for item in container["volumeMounts"]}
    assert mounts == {values["AIRLIFT_DEPOT"]: True, "/srv/shared": False}
    (script,) = container["args"]
    script = script.replace("assistant@2026.11.1 --for alpha --volume-size bd25", shlex.join(BUNDLE[2:]))
    script = script.replace("/srv/shared", "indexed")
    for index in ("0", "1"):
        done = subprocess.run(
            [*container["command"], script],
            cwd=world.folder,
            env={**at_hand, "SHARDS": "2", "JOB_COMPLETION_INDEX": index},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    world.quick(*BUNDLE, "--join", "indexed", "--output", "out", *KEY).expect(0)
    same(world, "out", "alone")
