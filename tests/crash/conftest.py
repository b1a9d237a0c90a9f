"""The world that crash tests share, built once per test process, in memory if the machine has a place for that."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from airlift.high.importing import reserve
from tests.crash import depot_scenes, scenes
from tests.crash.rehearsal import Rehearsal, rehearse, rehearse_depot
from tests.crash.scenes import World

MEMORY = Path("/dev/shm")  # noqa: S108 - thousands of copies and syncs: real disks would only be slow


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """Return the world of scenes, in a private folder that is removed afterwards."""
    place = str(MEMORY) if os.access(MEMORY, os.W_OK) else None
    patch = pytest.MonkeyPatch()
    patch.setattr(reserve, "SPACE_MARGIN", 4096)  # thousands of copies of what is reserved would only be slow
    folder = Path(tempfile.mkdtemp(prefix="airlift-crash-", dir=place))
    try:
        yield scenes.make_world(folder)
    finally:
        patch.undo()
        shutil.rmtree(folder)


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
