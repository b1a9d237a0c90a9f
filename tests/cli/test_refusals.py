"""Bad inputs through the real command: each ends with its exit code, and nothing changes (CLI: exit codes)."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import World, make_enclave
from tests.cli.transcript import Transcript

Damage = Callable[[World], None]


def refused(
    world: World, code: int, *words: str | Path, real: bool = False, wrapper: tuple[str, ...] = ()
) -> Transcript:
    """Run a command that must fail with ``code``; check that nothing is installed, active or half-done.

    It runs in this process unless it is to be the ``real`` one, or one behind a ``wrapper``.
    """
    before = world.installed()
    if real or wrapper:
        said = world.run(*words, "--format", "json", wrapper=wrapper).expect(code)
    else:
        said = world.quick(*words, "--format", "json").expect(code)
    assert world.installed() == before
    status = world.quick("high", "status", "--format", "json").expect(0).data
    assert not [warning for warning in status["warnings"] if "interrupted" in warning]
    assert said.error["hint"]
    return said


def entries(world: World) -> list[str]:
    history = world.quick("provenance", "history", "--format", "json").expect(0)
    return [f"{entry['type']} {entry['detail'].get('code', '')}".strip() for entry in history.data["entries"]]


def flip(path: Path, position: int | None = None) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if position is None else position] ^= 1
    path.write_bytes(data)


def a_chunk(world: World) -> Path:
    return next(iter(sorted((world.volumes("alpha-2")[0] / "chunks").iterdir())))


def a_file(world: World, folder: str) -> Path:
    return next(iter(sorted((world.volumes("alpha-2")[0] / folder).iterdir())))


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.chmod(0o644)
    path.write_bytes(change(path.read_bytes()))


def add(path: Path) -> None:
    path.write_bytes(b"x")


def link(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def top(world: World) -> Path:
    return world.volumes("alpha-2")[0]


PROVEN_BAD: dict[str, Damage] = {
    "flipped chunk": lambda world: flip(a_chunk(world)),
    "flipped manifest": lambda world: flip(a_file(world, "manifests")),
    "flipped metadata": lambda world: flip(a_file(world, "metadata")),
    "flipped label": lambda world: flip(top(world) / "LABEL.txt"),
    "flipped sums": lambda world: flip(top(world) / "SHA256SUMS"),
    "truncated chunk": lambda world: rewrite(a_chunk(world), lambda data: data[:-1]),
    "empty chunk": lambda world: rewrite(a_chunk(world), lambda _: b""),
    "grown chunk": lambda world: rewrite(a_chunk(world), lambda data: data + b"x"),
    "truncated manifest": lambda world: rewrite(a_file(world, "manifests"), lambda data: data[:-1]),
    "extra file": lambda world: add(top(world) / "autorun.inf"),
    "extra chunk": lambda world: add(top(world) / "chunks" / ("0" * 64)),
    "extra folder": lambda world: (top(world) / "more").mkdir(),
    "linked chunk": lambda world: link(a_chunk(world), Path("/etc/passwd")),
    "linked label": lambda world: link(top(world) / "LABEL.txt", Path("volume.json")),
    "extra link": lambda world: link(top(world) / "chunks" / "x", Path("/dev/zero")),
    "fifo": lambda world: os.mkfifo(top(world) / "chunks" / "x"),
    "missing manifest": lambda world: a_file(world, "manifests").unlink(),
    "missing label": lambda world: (top(world) / "LABEL.txt").unlink(),
}
"""What is done to the only volume of bundle alpha-2."""


@pytest.mark.parametrize("damage", PROVEN_BAD)
def test_a_damaged_volume_is_proven_bad(running: World, damage: str) -> None:
    """Truncated, grown, flipped, undeclared, links and special files: exit 3 (THREATS: parser, file system)."""
    PROVEN_BAD[damage](running)
    volumes = running.volumes("alpha-2")
    refused(
        running, 3, "high", "import", *volumes, "--activate", real=damage in {"flipped chunk", "extra link"}
    )
    assert entries(running)[-1].startswith("import-reject ")
    size = len(entries(running))
    assert running.quick("high", "verify", *volumes).expect(3).out == ""
    assert running.quick("high", "import", *volumes, "--dry-run").code in {0, 3}  # a dry run reads no chunk
    assert len(entries(running)) == size


@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_no_byte_of_a_volume_may_change(running: World, where: str) -> None:
    """A flipped byte anywhere in a volume: every file of it, at its start, its middle and its end."""
    volume = running.volumes("alpha-2")[0]
    seen = 0
    for path in sorted(path for path in volume.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        flip(path, {"first": 0, "middle": len(whole) // 2, "last": len(whole) - 1}[where])
        said = running.quick("high", "verify", volume, "--format", "json")
        assert said.expect(said.code).code == 3, f"{path.name}: {said}"
        path.write_bytes(whole)
        seen += 1
    assert seen >= 10
    running.quick("high", "verify", volume).expect(0)


def test_mixed_volumes(running: World) -> None:
    said = refused(running, 3, "high", "import", running.volumes("alpha-1")[0], running.volumes("alpha-2")[0])
    assert said.error["code"] == "volumes-mixed"


def test_a_missing_chunk_is_incomplete(running: World) -> None:
    a_chunk(running).unlink()
    said = refused(running, 4, "high", "import", *running.volumes("alpha-2"), real=True)
    assert len(said.data["missing"]) == 1
    assert (
        refused(running, 4, "high", "verify", *running.volumes("alpha-2")).data["missing"]
        == said.data["missing"]
    )


def test_a_delta_whose_baseline_is_not_held(world: World) -> None:
    said = refused(world, 5, "high", "import", *world.volumes("alpha-2"), "--activate", real=True)
    assert said.error["code"] == "baseline-not-held"
    assert entries(world)[-1] == "import-reject baseline-not-held"


def test_a_bundle_for_another_enclave(running: World) -> None:
    said = refused(running, 6, "high", "import", *running.volumes("beta-3"), real=True)
    assert said.error["code"] == "wrong-enclave"


def test_a_marking_above_the_ceiling(running: World) -> None:
    said = refused(running, 6, "high", "import", *running.volumes("alpha-4"))
    assert said.error["code"] == "marking-refused"
    planned = running.quick("high", "plan", *running.volumes("alpha-4"), "--format", "json").expect(0)
    assert "marking-refused" in [objection["code"] for objection in planned.data["objections"]]
    assert "policy would refuse it" in planned.err


def test_an_unpublished_release(world: World) -> None:
    words = ("low", "bundle", "demo@5", "--output", "out", "--bundler-key", "keys/bundler.key")
    said = refused(world, 6, *words)
    assert said.error["code"] == "unpublished"
    assert not (world.folder / "out").exists()


def test_a_replay_is_no_change(running: World) -> None:
    before, size = running.installed(), len(entries(running))
    said = running.quick("high", "import", *running.volumes("alpha-1"), "--format", "json").expect(0)
    assert said.data["already"] is True
    assert running.installed() == before
    assert len(entries(running)) == size


def test_a_bundle_older_than_the_enclave_accepts(world: World) -> None:
    shutil.rmtree(world.folder / "enclave")
    make_enclave(world, "enclave", "--minimum-sequence", "2")
    assert refused(world, 3, "high", "import", *world.volumes("alpha-1")).error["code"] == "replayed"


def test_an_overtaken_bundle_is_installed_but_not_activated(running: World) -> None:
    running.quick("high", "import", *running.volumes("alpha-5"), "--activate").expect(0)
    said = refused(running, 6, "high", "import", *running.volumes("alpha-2"), "--activate")
    assert said.error["code"] == "overtaken"
    done = running.quick("high", "import", *running.volumes("alpha-2"), "--format", "json").expect(0)
    assert (done.data["overtaken"], done.data["activated"]) == (True, False)


def test_a_withdrawn_bundle_is_a_replay(running: World) -> None:
    running.quick("low", "withdraw", "alpha-2", "--bundler-key", "keys/bundler.key").expect(0)
    renewal = running.quick(
        *(
            "low",
            "renew",
            "--for",
            "alpha",
            "--output",
            "media",
            "--bundler-key",
            "keys/bundler.key",
            "--format",
            "json",
        )
    ).expect(0)
    running.quick("high", "import", *running.volumes(renewal.data["bundle"])).expect(0)
    assert refused(running, 3, "high", "import", *running.volumes("alpha-2")).error["code"] == "replayed"


def test_expired_metadata_and_the_way_around_it(world: World, require_tool: Callable[[str], str]) -> None:
    later = (require_tool("faketime"), "+400 days")
    words = ("high", "import", *map(str, world.volumes("alpha-1")))
    said = refused(world, 6, *words, wrapper=later)
    assert said.error["code"] == "expired"
    assert "airlift low renew" in said.error["hint"]

    people = ("--key", "keys/officer-ed.key", "--key", "keys/officer-flo.key")
    flag = ("--insecure-expired", "--reason", "the only disc within reach")
    alone = refused(world, 2, *words, *flag, "--key", "keys/officer-ed.key")
    assert alone.error["message"] == "two different people must sign for this"
    assert refused(world, 2, *words, "--insecure-expired", *people).error["message"] == "a reason is needed"
    assert refused(world, 2, *words, "--reason", "x").error["code"] == "usage"
    assert refused(world, 6, *words, *flag, *people, wrapper=later).error["code"] == "quorum-unmet"
    for name in ("officer-ed", "officer-flo"):
        shutil.copy(world.folder / f"keys/{name}.pub", world.folder)
    (world.folder / "policy.yaml").write_text(
        (world.folder / "policy.yaml").read_text()
        + "attestations:\n  approval: {threshold: 2, keys: [officer-ed.pub, officer-flo.pub]}\n"
    )
    world.quick("high", "policy", "set", "policy.yaml").expect(0)
    done = world.run(*words, *flag, *people, "--format", "json", wrapper=later).expect(0)
    assert done.data["installed"] is True
    assert "warning: expired metadata is accepted" in done.err
    history = world.quick("provenance", "history", "--format", "json").expect(0).data["entries"]
    commit = next(entry for entry in history if entry["type"] == "import-commit")
    assert commit["detail"]["insecure_expired"]["reason"] == "the only disc within reach"
    assert len(commit["detail"]["insecure_expired"]["signatures"]) == 2


@pytest.mark.parametrize("kind", ["dangling", "gone", "file", "empty"])
def test_an_unreadable_medium_is_neither_good_nor_bad(running: World, kind: str) -> None:
    path = running.folder / "medium"
    if kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "file":
        path.write_bytes(b"no folder")
    elif kind == "empty":
        path.mkdir()
    size = len(entries(running))
    for verb in ("inspect", "verify", "plan", "import"):
        refused(running, 7, "high", verb, path, real=(kind, verb) == ("dangling", "import"))
    assert len(entries(running)) == size


@pytest.mark.parametrize("folder", ["nowhere", "keys"])
def test_no_enclave_and_no_depot(running: World, folder: str) -> None:
    said = running.quick("high", "status", "--enclave", folder, "--format", "json").expect(7)
    assert "airlift high init" in said.error["hint"]
    said = running.quick("low", "status", "--depot", folder, "--format", "json").expect(7)
    assert "airlift low init" in said.error["hint"]


def test_a_lost_ledger_key(running: World) -> None:
    (running.folder / "keys/ledger.key").unlink()
    said = refused(running, 7, "high", "import", *running.volumes("alpha-2"))
    assert said.error["code"] == "key-unavailable"


def test_a_format_that_is_too_new(running: World) -> None:
    path = running.volumes("alpha-2")[0] / "volume.json"
    path.chmod(0o644)
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps({**document, "airlift": 2}, sort_keys=True, separators=(",", ":")))
    for verb in ("inspect", "import"):
        said = refused(running, 7, "high", verb, *running.volumes("alpha-2"))
        assert said.error["code"] == "format-too-new"


def test_a_command_while_another_one_works(running: World, require_tool: Callable[[str], str]) -> None:
    lock = (require_tool("flock"), running.folder / "enclave/lock")
    said = refused(running, 7, "high", "import", *running.volumes("alpha-2"), wrapper=tuple(map(str, lock)))
    assert said.error["code"] == "busy"


def test_a_file_that_may_not_grow(world: World) -> None:
    """A full disk at the first large file: the limit is between the ledger's size and the content's."""
    limit = ("/bin/sh", "-c", 'ulimit -f 1200; exec "$@"', "sh")  # blocks of 512 bytes
    said = refused(world, 8, "high", "import", *world.volumes("alpha-1"), "--activate", wrapper=limit)
    assert said.error["code"] == "no-space"
    world.run("high", "import", *world.volumes("alpha-1"), "--activate").expect(0)


@pytest.mark.parametrize("room", ["1m", "3m"])
def test_a_full_disk(world: World, require_tool: Callable[[str], str], room: str) -> None:
    """A real file system that is too small; it takes root and a mount of its own."""
    script = (
        "mkdir full && mount -t tmpfs -o size=$1 tmpfs full && cp -a enclave/. full/ || exit 99; shift; "
        '"$@" --enclave full; code=$?; find full/releases full/content full/active -print >left; exit $code'
    )
    wrapper = (require_tool("unshare"), "-m", "/bin/sh", "-c", script, "sh", room)
    said = world.run("high", "import", *world.volumes("alpha-1"), "--format", "json", wrapper=wrapper)
    if said.code in {1, 99} and "airlift" not in said.out:
        pytest.skip("mounting is not permitted here")
    assert said.expect(8).error["code"] == "no-space"
    assert (world.folder / "left").read_text().split() == ["full/releases", "full/content"]
