"""Fetch the files of a source into a depot: found where they are held, else streamed in (SPEC L2.19)."""

import time
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from airlift import files
from airlift import progress as progress_module
from airlift.bundle import patterns
from airlift.bundle.component import source as sources
from airlift.bundle.component.file_entry import FileEntry
from airlift.errors import BusyError, ManifestError, NotHeldError
from airlift.intake.choose import Chosen, choose
from airlift.intake.collect import Take
from airlift.low.depot.depot import Depot
from airlift.low.sources import images, land, plan
from airlift.low.sources.arriving import Arriving, Origin
from airlift.low.sources.land import Landed, Meter, Sleep
from airlift.low.sources.plan import BUCKETS, Pin, Wanted
from airlift.progress import Progress
from airlift.store import content
from airlift.store.content import ContentFolder, CountBytes, Digested

LOCK = "lock"
KINDS = (sources.HTTPS, *BUCKETS, sources.OCI)
"""The keys of an authored source that is an address."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The files of a source, by relative path, sorted: where they lie, and what they were digested to.

    ``stated`` is what the release manifest says of the source, without patterns; ``bytes`` is the size of all files.
    ``skipped`` are leftovers, ``left_out`` files that the patterns leave out; none was fetched.
    """

    stated: Mapping[str, Any]
    paths: Mapping[str, Path]
    digested: Mapping[str, Digested]
    bytes: int
    skipped: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be fetched, who has it, and what is stated of where it came from."""

    wanted: tuple[Wanted, ...]
    chosen: Chosen
    origin: Origin
    stated: Mapping[str, Any]


def fetch(
    depot: Depot,
    source: Mapping[str, Any],
    folder: Path,
    progress: Progress = progress_module.silent,
    *,
    sleep: Sleep = time.sleep,
) -> Fetched:
    """Bring the files of an authored source, of a manifest in ``folder``, into the depot; what is there is kept.

    Raises:
        ManifestError: the source cannot be fetched as it is written.
        ForbiddenFileError: an image cannot be told as files; a pattern of ``exclude`` fits nothing.
        UsageError: obstore is not installed.
        DigestError: a file does not have its digest or length; nothing of it stays.
        NotHeldError: a server does not have a file, or the patterns leave none.
        BusyError: another command fetches into this depot.
        UncheckedError: a server cannot be asked, denies it, or breaks off; what came stays.
        StorageError: the depot cannot be written, or has no room.
    """
    files.make_folder(depot.fetched)
    with files.lock(depot.fetched / LOCK):
        order = _order(source, folder, sleep)
        meter = Meter(f"fetching {sources.address(dict(order.stated))}", order.wanted, progress)
        held, landed = _held(depot), dict[str, Landed]()
        for item in order.wanted:
            landed[item.path] = (
                _find(depot, item, held, meter)
                or land.find_landed(depot.fetched, item, meter)
                or land.land(depot.fetched, item, order.origin, meter, sleep)
            )
    return Fetched(
        order.stated,
        {path: found.path for path, found in landed.items()},
        {path: found.digested for path, found in landed.items()},
        sum(found.digested.size for found in landed.values()),
        order.chosen.skipped,
        order.chosen.left_out,
    )


def taking(fetched: Fetched, folder: ContentFolder, new: dict[str, int], *, keep: bool) -> Take:
    """Return how fetched files, digested as they are, are taken into ``folder``; as ``intake.collect.taking``."""
    known = {path: fetched.digested[name] for name, path in fetched.paths.items()}

    def take(_descriptor: int, path: Path, read: CountBytes) -> Digested:
        found = known[path]
        is_new = not folder.path(found.sha512).exists()
        if is_new and keep:
            folder.link(path, found.sha512)
        if is_new:
            new[found.sha512] = found.size
        read(found.size)
        return replace(found, new=is_new)

    return take


def forget_held(depot: Depot, contents: Container[str]) -> None:
    """Remove what was fetched and is content of a release now, unless another command fetches at the moment."""
    if not depot.fetched.is_dir():
        return
    try:
        with files.lock(depot.fetched / LOCK):
            land.forget(depot.fetched, lambda sha512: sha512 in contents)
    except BusyError:
        return  # what stays is found again, or forgotten by the next release


# -- what is held already ------------------------------------------------------------------------------------------


def _held(depot: Depot) -> dict[str, FileEntry]:
    """Return the files of all releases by both of their digests."""
    found: dict[str, FileEntry] = {}
    for reference in depot.releases():
        for _, file in depot.load_release(reference.digest).files():
            found[file.sha256] = found[file.sha512] = file
    return found


def _find(depot: Depot, wanted: Wanted, held: Mapping[str, FileEntry], meter: Meter) -> Landed | None:
    """Return the content of the depot that has the digest that is wanted; it is read to be sure."""
    file = None if wanted.pin is None or wanted.version is not None else held.get(wanted.pin.digest)
    if file is None or not depot.content.holds(file.sha512, file.size):
        return None
    meter.expect(wanted, file.size)
    path = depot.content.path(file.sha512)
    with files.opened(path) as descriptor:
        found = content.digest(descriptor, path, meter.add)
    return Landed(path, found) if (found.sha512, found.sha256) == (file.sha512, file.sha256) else None


# -- what is wanted ------------------------------------------------------------------------------------------------


def _order(source: Mapping[str, Any], folder: Path, sleep: Sleep) -> _Order:
    """Return what an authored source asks for; a registry is asked for the manifest of its image."""
    kind = next(key for key in KINDS if key in source)
    if kind == sources.OCI:
        return _image(source, sleep)
    wanted = plan.read_files(kind, source, _listed(source, folder))
    endpoint, origin = None, None
    if kind == sources.HTTPS:
        from airlift.low.sources.web import Client

        origin = Client(plain="plain_http" in source).origin
    else:
        from airlift.low.sources.buckets import Bucket

        bucket = Bucket(source[kind], source.get("endpoint"), plain="plain_http" in source)
        endpoint, origin = bucket.endpoint, bucket.origin
        wanted = tuple(replace(item, endpoint=endpoint) for item in wanted)
    alone = "files" not in source and "digests" not in source
    kept, chosen = _choose(source, wanted, alone=alone)
    return _Order(kept, chosen, origin, plan.record(kind, source, kept, endpoint))


def _listed(source: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, Pin]]:
    """Yield what the list of digests names, if there is one."""
    if "digests" in source:
        data = files.read_bounded((folder / source["digests"]).resolve(), plan.MAX_LIST_BYTES)
        yield from plan.parse_digest_list(source["digests"], data)


def _image(source: Mapping[str, Any], sleep: Sleep) -> _Order:
    from airlift.low.sources.registry import Registry
    from airlift.low.sources.web import Client

    form = source.get("form", sources.FORMS[0])
    place, pin = plan.read_reference(source["oci"])
    reference = f"{place}@{pin}"
    if form == "layout" and patterns.of_source(source) != patterns.EVERYTHING:
        raise ManifestError(
            "patterns cannot choose from an OCI layout",
            expected="no `include` and no `exclude` beside `form: layout`",
            hint="leave them out, or take its files: `form: files`",
        )
    registry = Registry(Client(plain="plain_http" in source), place, sleep)
    top, data = registry.manifest(pin)
    made: Mapping[str, bytes] = {}
    if form == "layout":
        made, blobs = images.read_layout(top, data, registry.manifest_of, reference)
    else:
        blobs = images.read_titled(data, reference)
    wanted = [
        *(
            Wanted(plan.check_path(path), registry.blob_url(blob.pin), blob.pin, None, blob.size)
            for path, blob in blobs.items()
        ),
        *(_made(path, data) for path, data in made.items()),
    ]
    kept, chosen = _choose(source, plan.sort_files(wanted), alone=form == "layout")
    stated = {"kind": sources.OCI, "reference": reference, "form": form}
    return _Order(kept, chosen, partial(_at_hand, made, registry.origin), stated)


def _choose(
    source: Mapping[str, Any], wanted: Sequence[Wanted], *, alone: bool
) -> tuple[tuple[Wanted, ...], Chosen]:
    """Return what the patterns of a source leave; what was named ``alone`` is no leftover, whatever it is called."""
    chosen = choose([item.path for item in wanted], patterns.of_source(source), alone=alone)
    kept = frozenset(chosen.kept)
    if not kept:
        raise NotHeldError(
            "the source has no such files", expected=", ".join(source.get("include", ())) or "any file"
        )
    return tuple(item for item in wanted if item.path in kept), chosen


def _made(path: str, data: bytes) -> Wanted:
    """Return what airlift itself makes, or has asked for already, as a file that is wanted."""
    return Wanted(path, f"airlift:{path}", Pin("sha512", content.digest_bytes(data).sha512), None, len(data))


@contextmanager
def _at_hand(
    made: Mapping[str, bytes], origin: Origin, wanted: Wanted, offset: int, mark: str | None
) -> Iterator[Arriving]:
    """Open a file: an ``Origin`` that has what is ``made``, and asks another one for the rest."""
    if wanted.path in made:
        yield Arriving(offset, wanted.size, iter([made[wanted.path][offset:]]))
        return
    with origin(wanted, offset, mark) as arriving:
        yield arriving
