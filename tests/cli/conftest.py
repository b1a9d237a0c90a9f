"""One small world for the transcripts: keys, a depot, bundles, and an enclave; prepared once, copied by the tests."""

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.transcript import Transcript, airlift, inside

KEYS = ("root-ada", "root-bo", "release-cy", "release-di", "bundler", "ledger", "officer-ed", "officer-flo")
WEIGHTS = 1_400_000  # bytes that do not compress: enough for two volumes of 2 MB

POLICY = """\
airlift: 1
enclave: alpha
marking: {levels: [UNCLASSIFIED, SECRET], ceiling: {level: UNCLASSIFIED}}
"""


@dataclass(frozen=True)
class World:
    """A folder with everything in it, and the names of what it holds."""

    folder: Path

    def run(self, *words: str | Path, wrapper: tuple[str, ...] = ()) -> Transcript:
        """Run a command in a process of its own."""
        return airlift(*words, cwd=self.folder, wrapper=wrapper)

    def quick(self, *words: str | Path) -> Transcript:
        """Run a command in this process."""
        return inside(*words, cwd=self.folder)

    def volumes(self, bundle: str) -> list[Path]:
        """Return the volumes of a bundle, in order."""
        return sorted(self.folder.glob(f"media/airlift-{bundle}-vol*"))

    def copy(self, target: Path) -> "World":
        """Return a copy that a test may damage."""
        shutil.copytree(self.folder, target, symlinks=True)
        config = target / "enclave/config.yaml"
        config.write_text(config.read_text().replace(str(self.folder), str(target)))
        return World(target)

    def installed(self) -> dict[str, str]:
        """Return what model servers can see: what is active, and every release and content file."""
        enclave = self.folder / "enclave"
        active = str((enclave / "active").readlink()) if (enclave / "active").is_symlink() else "nothing"
        places = [*sorted((enclave / "releases").rglob("*")), *sorted((enclave / "content").rglob("*"))]
        return {
            "active": active,
            **{str(path.relative_to(enclave)): str(path.lstat().st_mtime_ns) for path in places},
        }


def write_manifest(folder: Path, version: str, marking: str = "UNCLASSIFIED") -> Path:
    """Write a release manifest over the sources of that version."""
    path = folder / f"demo-{version}.yaml"
    path.write_text(
        "airlift: 1\nrelease: demo\n"
        f"version: '{version}'\nmarking: {{level: {marking}}}\n"
        "components:\n"
        f"  - {{name: corpus, kind: data, version: '1', source: {{path: sources/corpus}}}}\n"
        f"  - {{name: guard, kind: guard, version: '{version}', source: {{path: sources/guard-{version}}}}}\n"
    )
    (folder / f"sources/guard-{version}").mkdir(parents=True)
    (folder / f"sources/guard-{version}/rules.txt").write_text(f"rules of {version}\n" * 50)
    return path


def make_depot(world: World) -> None:
    """Keys for everybody, and a depot whose releases two people sign."""
    for name in KEYS:
        world.quick("keys", "generate", name, "--out", "keys", "--no-passphrase").expect(0)
    world.quick(
        *(
            "low",
            "init",
            "--root-key",
            "keys/root-ada.key",
            "--root-key",
            "keys/root-bo.key",
            "--root-threshold",
            "2",
        ),
        *(
            "--release-key",
            "keys/release-cy.key",
            "--release-key",
            "keys/release-di.key",
            "--release-threshold",
            "2",
        ),
        *("--bundler-key", "keys/bundler.key"),
    ).expect(0)


def publish(world: World, version: str, marking: str = "UNCLASSIFIED") -> None:
    """Release and sign by both."""
    manifest = write_manifest(world.folder, version, marking)
    keys = ("--key", "keys/release-cy.key", "--key", "keys/release-di.key")
    world.quick("low", "release", manifest, *keys).expect(0)


def pack(world: World, version: str, *words: str) -> None:
    """Bundle a release into ``media``."""
    common = ("--output", "media", "--bundler-key", "keys/bundler.key")
    world.quick("low", "bundle", f"demo@{version}", *common, *words).expect(0)


def make_enclave(world: World, name: str = "enclave", *words: str) -> None:
    """Make an enclave ``alpha`` in a folder."""
    (world.folder / "policy.yaml").write_text(POLICY)
    world.quick(
        *("high", "init", "--enclave", name, "--root", "depot/root.json", "--yes", "--name", "alpha"),
        *("--ledger-key", "keys/ledger.key", "--policy", "policy.yaml", *words),
    ).expect(0)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world that nobody changes.

    Bundles: alpha-1 (demo@1, complete, two volumes), alpha-2 (demo@2, delta on demo@1), beta-3 (demo@1), alpha-4
    (demo@3, above the ceiling), alpha-5 (demo@2, complete). Release demo@5 lacks a signature.
    """
    world = World(tmp_path_factory.mktemp("world"))
    (world.folder / "sources/corpus").mkdir(parents=True)
    (world.folder / "sources/corpus/text.dat").write_bytes(random.Random(1).randbytes(WEIGHTS))
    make_depot(world)
    publish(world, "1")
    pack(world, "1", "--for", "alpha", "--volume-size", "2MB")
    publish(world, "2")
    pack(world, "2", "--for", "alpha", "--from", "demo@1")
    pack(world, "1", "--for", "beta")
    publish(world, "3", "SECRET")
    pack(world, "3", "--for", "alpha")
    pack(world, "2", "--for", "alpha")
    world.quick("low", "release", write_manifest(world.folder, "5"), "--key", "keys/release-cy.key").expect(0)
    make_enclave(world)
    assert len(world.volumes("alpha-1")) >= 2
    return world


@pytest.fixture
def world(prepared: World, tmp_path: Path) -> World:
    """A copy whose enclave is empty."""
    return prepared.copy(tmp_path / "world")


@pytest.fixture(scope="session")
def prepared_running(prepared: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same with demo@1 imported and active."""
    world = prepared.copy(tmp_path_factory.mktemp("running") / "world")
    world.quick("high", "import", *world.volumes("alpha-1"), "--activate").expect(0)
    return world


@pytest.fixture
def running(prepared_running: World, tmp_path: Path) -> World:
    """A copy whose enclave runs demo@1."""
    return prepared_running.copy(tmp_path / "world")
