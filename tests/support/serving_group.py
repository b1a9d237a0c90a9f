"""An enclave whose releases a group of units serves, set up on a real systemd by docs/serving-hooks.md."""

import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.arch.tree import ROOT
from tests.cli.conftest import World, make_depot
from tests.support.llama_files import llama
from tests.support.machine import Machine, machine
from tests.support.pages import blocks
from tests.support.tensor_files import safetensors

EXAMPLES = ROOT / "examples" / "systemd"
UNITS = tuple(
    sorted(p for p in EXAMPLES.iterdir() if p.suffix in {".service", ".socket", ".path", ".target"})
)
AIRLIFT = "airlift"
"""The user that owns the enclave."""
GROUP = "airlift-serve.target"
PAGE = "docs/serving-hooks.md"
INSTALL, START, POLKIT, EXPORT = blocks(PAGE)
"""The commands of the page, in its order."""
MODEL, GUARD = "http://127.0.0.1:8000", "http://127.0.0.1:8001"
GOOD, BETTER, BROKEN = "serve@1", "serve@2", "serve@3"
TREES = "/srv/airlift/enclave/releases"
SERVERS = ("vllm", "llama-server")

ASK = """\
import json, sys, urllib.request
plain = urllib.request.build_opener(urllib.request.ProxyHandler({}))
def release(url):
    try:
        with plain.open(url + "/v1/models", timeout=5) as answer:
            return json.load(answer)["data"][0]["release"]
    except (OSError, ValueError):
        return None
"""
"""Programs of clients: ask once; or all the while, until their input is closed."""
ONCE = ASK + "print(json.dumps([release(url) for url in sys.argv[1:]]))\n"
ALWAYS = (
    ASK
    + """
import os, threading, time
model, guard = sys.argv[1:]
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
while True:
    print(json.dumps([release(guard), release(model), release(guard)]), flush=True)
    time.sleep(0.02)
"""
)


@dataclass(frozen=True)
class Served:
    """A machine on which an enclave lives at /srv/airlift/enclave, and the folder from which it was filled."""

    there: Machine
    folder: Path

    def airlift(self, *words: str | Path, code: int = 0) -> dict[str, Any]:
        """Run ``airlift`` as the enclave's user; return its answer."""
        done = self.there.run("/usr/local/bin/airlift", *words, "--format", "json", user=AIRLIFT)
        assert done.returncode == code, f"{words}\n{done.stdout}{done.stderr}{self.there.journal()}"
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    def activate(self, release: str) -> dict[str, Any]:
        """Make a release active."""
        return self.airlift("high", "activate", release)

    def tree(self, version: int) -> str:
        """Return the name of the tree of the release that has the model of this version."""
        found = self.there.do("sh", "-c", f"grep -lE '\"of\": {version}\\b' {TREES}/*/base/config.json")
        return Path(found.strip()).parent.parent.name

    def active(self) -> str | None:
        """Return the release whose tree the link ``active`` leads to: the name of its folder."""
        said = self.there.run("readlink", "/srv/airlift/enclave/active").stdout.strip()
        return Path(said).name if said else None

    def serving(self) -> tuple[str | None, str | None]:
        """Return the releases that model and guard say they serve, as a program of this machine finds them."""
        model, guard = json.loads(self.there.do("/usr/bin/python3", "-c", ONCE, MODEL, GUARD))
        return model, guard


def write_sources(folder: Path) -> None:
    """Write four versions of a model and its guard; no server knows what to do with the third model."""
    for number, kind in ((1, "tiny"), (2, "tiny"), (3, ""), (4, "tiny")):
        base, guard = folder / f"base-{number}", folder / f"guard-{number}"
        base.mkdir(parents=True)
        guard.mkdir()
        weights = bytes([number]) * 64
        (base / "model.safetensors").write_bytes(safetensors({"w": ("F32", [16], [0, 64])}, weights))
        (base / "config.json").write_text(json.dumps({"type": kind, "of": number}))
        (guard / "model.gguf").write_bytes(llama(number))
        (folder / f"serve-{number}.yaml").write_text(
            f"airlift: 1\nrelease: serve\nversion: '{number}'\nmarking: {{level: UNCLASSIFIED}}\n"
            "components:\n"
            f"  - {{name: base, kind: model, version: '{number}', source: {{path: base-{number}}}, license: a}}\n"
            f"  - {{name: guard, kind: guard, version: '{number}', source: {{path: guard-{number}}}, license: a}}\n"
        )


def pack_all(folder: Path) -> World:
    """Return a world with a bundle of each release."""
    world = World(folder)
    write_sources(folder / "sources")
    make_depot(world)
    for number in (1, 2, 3, 4):
        keys = ("--key", "keys/release-cy.key", "--key", "keys/release-di.key")
        world.quick("low", "release", f"sources/serve-{number}.yaml", *keys).expect(0)
        out = ("--output", f"media-{number}", "--bundler-key", "keys/bundler.key", "--from", "none")
        world.quick("low", "bundle", f"serve@{number}", *out).expect(0)
    return world


def install(there: Machine, server: str, name: str) -> None:
    """Install a program, or what stands in for it, as ``/usr/local/bin/NAME``."""
    there.shell(f"install -D -m 0755 {shlex.quote(server)} /usr/local/bin/{shlex.quote(name)}")


def set_up(there: Machine, world: World) -> Served:
    """Install what the page says, programs in the place of servers, and an enclave that runs the first release."""
    stand_in = world.folder / "stand_in"
    stand_in.write_text("#!/usr/bin/python3 -I\n" + (EXAMPLES / "stand_in.py").read_text())
    paths = os.pathsep.join([*filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), str(ROOT)])
    tree = f"AIRLIFT_TREE={shlex.quote(os.environ.get('AIRLIFT_TREE', ''))}"
    program = world.folder / "airlift"
    program.write_text(
        f"#!/bin/sh\nexport PYTHONPATH={shlex.quote(paths)} PYTHONDONTWRITEBYTECODE=1 {tree}\n"
        f'export AIRLIFT_ENCLAVE=/srv/airlift/enclave\nexec {sys.executable} -m airlift "$@"\n'
    )
    install(there, str(program), "airlift")
    for name in SERVERS:
        install(there, str(stand_in), name)
    there.page(INSTALL)
    served = Served(there, world.folder)
    carry(served, world)
    return served


def carry(served: Served, world: World) -> None:
    """Enrol the enclave, import all releases but the fourth, and make the first one active."""
    there, here = served.there, shlex.quote(str(world.folder))
    there.shell(
        f"install -o airlift -g airlift -m 0600 {here}/keys/ledger.key /srv/airlift/ledger.key\n"
        f"mkdir -p /srv/media && cp -r {here}/media-* {here}/depot/root.json /srv/media\n"
    )
    served.airlift(
        *("high", "init", "--root", "/srv/media/root.json", "--yes", "--name", "alpha"),
        *("--ledger-key", "/srv/airlift/ledger.key"),
    )
    for number in (1, 2, 3):
        volumes = there.shell(f"ls -d /srv/media/media-{number}/*").split()
        served.airlift("high", "import", *volumes)
    served.activate(GOOD)


@contextmanager
def serving_group(folder: Path, world: World) -> Iterator[Served]:
    """Give a machine on which the group serves the first release, and has served the second in between."""
    with machine(folder) as there:
        served = set_up(there, world)
        there.page(START)
        yield served
