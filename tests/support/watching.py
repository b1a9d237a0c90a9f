"""A drop folder, an enclave that watches it, and a clock that goes on only while it waits."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from airlift.high.enclave.enclave import Enclave
from airlift.high.watching.attempt import Importer
from airlift.high.watching.put_aside import Places
from airlift.high.watching.watch import Clock, WatchRequest, WatchResult, watch
from tests.support.depots import NOW
from tests.support.enclaves import operator

SETTLE = 50.0
INTERVAL = 1.0
MOST = 2000
Arrival = Callable[[], object]
"""Something that happens in the drop folder between two looks."""


@dataclass
class Ground:
    """Runs the watcher; between two looks one arrival takes place, and INTERVAL seconds go by."""

    enclave: Enclave
    folder: Path
    seconds: float = 0.0
    events: list[dict[str, Any]] = field(default_factory=list)
    moves: bool = False

    @property
    def places(self) -> Places:
        """The folders."""
        return Places(self.folder / "drop", self.folder / "bad", self.folder / "done" if self.moves else None)

    def __post_init__(self) -> None:
        (self.folder / "drop").mkdir(exist_ok=True)

    def run(self, arrivals: Sequence[Arrival] = (), **more: Any) -> WatchResult:
        """Watch as ``--once`` does; with ``arrivals`` until all took place and some time after they have settled."""
        coming = iter(arrivals)
        quiet = [self.seconds]
        if arrivals:
            more = {"once": False, "stopping": lambda: self.seconds - quiet[0] > SETTLE + 5} | more

        def sleep(seconds: float) -> None:
            assert self.seconds < MOST, "the watcher does not come to an end"
            self.seconds += seconds
            if step(coming):
                quiet[0] = self.seconds

        clock = Clock(lambda: NOW + timedelta(seconds=int(self.seconds)), lambda: self.seconds, sleep)
        request = WatchRequest(
            self.places,
            Importer(self.enclave, more.pop("activate", True)),
            INTERVAL,
            more.pop("settle", SETTLE),
            more.pop("once", True),
            more.pop("metrics", None),
        )
        result = WatchResult()
        try:
            watch(request, operator(), write=self.events.append, clock=clock, result=result, **more)
        finally:
            for arrival in coming:
                arrival()
        return result

    def said(self, *names: str) -> list[dict[str, Any]]:
        """Return the events of these names; without any, all but those of beginning and end."""
        wanted = set(names)
        return [e for e in self.events if (e["event"] in wanted if names else e["event"] not in ENDS)]

    def names(self) -> list[str]:
        """Return the names of all events but those of beginning and end."""
        return [event["event"] for event in self.said()]

    def put(self, volume: Path, name: str | None = None) -> Path:
        """Let a volume arrive at once."""
        target = self.folder / "drop" / (name or volume.name)
        shutil.copytree(volume, target)
        return target

    def reasons(self) -> list[Path]:
        """Return the reasons of what was put aside."""
        return sorted((self.folder / "bad").glob("*/reason.json"))


ENDS = {"started", "stopped"}


def step(coming: Iterator[Arrival]) -> bool:
    """Let the next arrival take place; say whether there was one."""
    arrival = next(coming, None)
    if arrival is not None:
        arrival()
    return arrival is not None


def file_by_file(volume: Path, target: Path, *, parts: bool = False) -> list[Arrival]:
    """Return the arrivals of the files of a volume, by name; with ``parts`` in halves under another name."""
    found: list[Arrival] = []
    for path in sorted(item for item in volume.rglob("*") if item.is_file()):
        place = target / path.relative_to(volume)
        data = path.read_bytes()
        if parts:
            temporary = place.with_name(f"{place.name}.part")
            half = data[: len(data) // 2]
            found += [partial(write, temporary, half), partial(write, temporary, data)]
            found.append(partial(temporary.rename, place))
        else:
            found.append(partial(write, place, data))
    return found


def write(place: Path, data: bytes) -> None:
    """Write a file as a sender does, its folders as well."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
