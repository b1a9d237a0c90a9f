"""Say what a fetch would bring, from where, and how much of it is here already; nothing is written (SPEC L2.19)."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airlift import progress as progress_module
from airlift.bundle.component import source as sources
from airlift.bundle.component.file_entry import FileEntry
from airlift.low.depot.depot import Depot
from airlift.low.sources import land
from airlift.low.sources.fetch import find_held, held_files
from airlift.low.sources.land import Sleep
from airlift.low.sources.order import Order, order
from airlift.low.sources.plan import Wanted


@dataclass(frozen=True, slots=True)
class Coming:
    """A file that would be fetched: its address, what pins it, and its length (bytes) if the server tells.

    ``file`` is where it lies, if all of it is here, or would come in; ``kept`` is how many bytes are there. Those are
    digested again before they are believed.
    """

    wanted: Wanted
    bytes: int | None
    kept: int
    file: Path

    @property
    def to_come(self) -> int | None:
        """How many bytes a server would be asked for, if that is known."""
        return None if self.bytes is None else max(0, self.bytes - self.kept)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a fetch would do, file by file, sorted by path; the rest as in ``Fetched``."""

    stated: Mapping[str, Any]
    coming: tuple[Coming, ...]
    skipped: tuple[str, ...]
    left_out: tuple[str, ...]


def foresee(depot: Depot, source: Mapping[str, Any], folder: Path, *, sleep: Sleep = time.sleep) -> Foreseen:
    """Say what ``fetch`` would do with an authored source of a manifest in ``folder``.

    Web servers and buckets are asked for the length of what is not here; registries for the manifest of the image.

    Raises:
        AirliftError: as ``fetch``, as far as it can be told by now.
    """
    progress_module.announce("asking what would come")
    ordered = order(source, folder, sleep)
    progress_module.announce(f"asking for {sources.address(dict(ordered.stated))}")
    held = held_files(depot)
    coming = tuple(_foresee(depot, item, ordered, held, sleep) for item in ordered.wanted)
    return Foreseen(ordered.stated, coming, ordered.chosen.skipped, ordered.chosen.left_out)


def _foresee(
    depot: Depot, wanted: Wanted, ordered: Order, held: Mapping[str, FileEntry], sleep: Sleep
) -> Coming:
    file = find_held(depot, wanted, held)
    if file is not None:
        return Coming(wanted, file.size, file.size, depot.content.path(file.sha512))
    landed = land.landed_paths(depot.fetched, wanted)
    if landed:
        kept = landed[0].stat().st_size
        return Coming(wanted, kept, kept, landed[0])
    size = land.persist(lambda: ordered.measure(wanted), sleep)
    land.check_length(wanted, size)
    part = land.part_path(depot.fetched, wanted)
    kept = part.stat().st_size if part.exists() else 0
    return Coming(wanted, wanted.size if size is None else size, kept, part)
