"""The world that crash tests share, built once per test process, in memory if the machine has a place for that."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling

from airlift.high.importing import reserve
from airlift.trust.keys.file import FileSigner
from airlift.trust.keys.public import PublicKey
from tests.crash import depot_scenes, scenes
from tests.crash.kernel import table
from tests.crash.kernel.spoil import BY_STRACE, FAULTS, RECOVERY, TWICE
from tests.crash.rehearsal import FULL, SCENES, Rehearsal, rehearse, rehearse_depot
from tests.crash.scenes import World
from tests.support import counted

MEMORY = Path("/dev/shm")  # noqa: S108 - thousands of copies and syncs: real disks would only be slow


Sign = Callable[[FileSigner, bytes], bytes]
Verify = Callable[[PublicKey, bytes, bytes], None]
COLUMNS = (*FAULTS, TWICE, RECOVERY, BY_STRACE)


class ByScene(LoadScopeScheduling):  # type: ignore[misc]
    """Lets one process do all that is done with a scene: it knows what it has judged."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the scene that a test is about: the longest whose name its parameters begin with."""
        given = nodeid.partition("[")[2].removesuffix("]")
        about = [name for name in SCENES if given == name or given.startswith(f"{name}-")]
        return max(about, key=len, default=nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """Schedule by scene where all of these tests are to be run, and nothing else."""
    return ByScene(config, log) if FULL else None


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """Return the world of scenes, in a private folder that is removed afterwards."""
    place = str(MEMORY) if os.access(MEMORY, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="airlift-crash-", dir=place))
    try:
        with _quick():
            made = scenes.make_world(folder)
        yield made
    finally:
        shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Let every test of this folder, and no other, reserve little, and sign and verify a message once."""
    with _quick():
        yield


@contextmanager
def _quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            reserve, "SPACE_MARGIN", 4096
        )  # thousands of copies of what is reserved would only be slow
        patch.setattr(FileSigner, "sign", sign_once)
        patch.setattr(PublicKey, "verify", verify_once)
        yield


def _remembering(sign: Sign) -> Sign:
    """Sign a message once: signatures are random, and what is signed anew is never a state that is known."""
    made: dict[tuple[str, bytes], bytes] = {}

    def signed(signer: FileSigner, message: bytes) -> bytes:
        key = (signer.public.fingerprint, message)
        if key not in made:
            made[key] = sign(signer, message)
        return made[key]

    return signed


def _trusting(verify: Verify) -> Verify:
    """Verify a good signature once: it stays good, and an import verifies some forty."""
    good: set[tuple[str, bytes, bytes]] = set()

    def verified(key: PublicKey, signature: bytes, message: bytes) -> None:
        asked = (key.key_id, signature, message)
        if asked not in good:
            verify(key, signature, message)
            good.add(asked)

    return verified


sign_once, verify_once = _remembering(FileSigner.sign), _trusting(PublicKey.verify)


@pytest.fixture(scope="session")
def rehearsals(world: World) -> dict[str, Rehearsal]:
    """Return the undisturbed run of every scene, which the disturbed ones are held against; filled when asked for."""
    return _Rehearsals(world)


class _Rehearsals(dict[str, Rehearsal]):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.high = scenes.scenes(world)
        self.low = depot_scenes.scenes(world.folder)

    def __missing__(self, name: str) -> Rehearsal:
        if name in self.high:
            self[name] = rehearse(self.high[name], self.world.folder)
        else:
            self[name] = rehearse_depot(self.low[name], self.world.folder)
        return self[name]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was tried, and keep it in the document if that was everything."""
    stats = terminalreporter.stats
    counts = table.add_up(item for report in stats.get("passed", ()) for item in report.user_properties)
    if not counts:
        return
    lines = table.format_table(counts, SCENES, COLUMNS)
    terminalreporter.write_sep("=", "crash points")
    terminalreporter.write("\n".join([*lines, ""]))
    everything = all((name, fault) in counts for name in SCENES for fault in (*FAULTS, TWICE))
    if FULL and everything and not stats.get("failed") and not stats.get("error"):
        counted.keep("make crash", lines)
