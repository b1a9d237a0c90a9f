"""What an authored source asks for: its files, who has them, and what is stated of their source (SPEC L2.19)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airlift import files
from airlift.bundle import patterns
from airlift.bundle.component import source as sources
from airlift.errors import MalformedError, ManifestError, NotHeldError
from airlift.intake.choose import Chosen, choose
from airlift.low.sources import images, plan
from airlift.low.sources.arriving import Arriving, Measure, Origin
from airlift.low.sources.images import Blob
from airlift.low.sources.land import Sleep
from airlift.low.sources.plan import BUCKETS, Pin, Wanted
from airlift.store import content

if TYPE_CHECKING:
    from airlift.low.sources.buckets import Bucket
    from airlift.low.sources.registry import Registry
    from airlift.low.sources.web import Client

KINDS = (sources.HTTPS, *BUCKETS, sources.OCI)
"""The keys of an authored source that is an address."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be fetched, who has it and knows how long it is, and what is stated of where it came from."""

    wanted: tuple[Wanted, ...]
    chosen: Chosen
    origin: Origin
    measure: Measure
    stated: Mapping[str, Any]


def order(source: Mapping[str, Any], folder: Path, sleep: Sleep) -> Order:
    """Return what an authored source of a manifest in ``folder`` asks for; a registry is asked for a manifest.

    Raises:
        ManifestError: the source cannot be fetched as it is written.
        ForbiddenFileError: an image cannot be told as files; a pattern of ``exclude`` fits nothing.
        UsageError: obstore is not installed.
        DigestError: the manifest of an image does not have its digest.
        NotHeldError: a registry does not have the image, or the patterns leave none of its files.
        UncheckedError: a server cannot be asked, or denies it.
    """
    kind = next(key for key in KINDS if key in source)
    if kind == sources.OCI:
        return _image(source, sleep)
    wanted = plan.read_files(kind, source, _listed(source, folder))
    asked, endpoint = _ask(kind, source)
    wanted = tuple(replace(item, endpoint=endpoint) for item in wanted)
    alone = "files" not in source and "digests" not in source
    kept, chosen = _choose(source, wanted, alone=alone)
    return Order(kept, chosen, asked.origin, asked.measure, plan.record(kind, source, kept, endpoint))


def _ask(kind: str, source: Mapping[str, Any]) -> "tuple[Client | Bucket, str | None]":
    """Return whom to ask for the files of a URL, and the endpoint of a bucket if it is known."""
    plain = "plain_http" in source
    if kind == sources.HTTPS:
        from airlift.low.sources.web import Client

        return Client(plain=plain), None
    from airlift.low.sources.buckets import Bucket

    bucket = Bucket(source[kind], source.get("endpoint"), plain=plain)
    return bucket, bucket.endpoint


def _listed(source: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, Pin]]:
    """Yield what the list of digests names, if there is one."""
    if "digests" in source:
        data = files.read_bounded((folder / source["digests"]).resolve(), plan.MAX_LIST_BYTES)
        yield from plan.parse_digest_list(source["digests"], data)


def _image(source: Mapping[str, Any], sleep: Sleep) -> Order:
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
    made, blobs = _blobs(registry, pin, reference, form)
    wanted = [
        *(
            Wanted(plan.check_path(path), registry.blob_url(blob.pin), blob.pin, None, blob.size)
            for path, blob in blobs.items()
        ),
        *(_made(path, data) for path, data in made.items()),
    ]
    kept, chosen = _choose(source, plan.sort_files(wanted), alone=form == "layout")
    stated = {"kind": sources.OCI, "reference": reference, "form": form}
    return Order(kept, chosen, partial(_at_hand, made, registry.origin), _stated_size, stated)


def _blobs(
    registry: "Registry", pin: Pin, reference: str, form: str
) -> tuple[Mapping[str, bytes], Mapping[str, Blob]]:
    """Return what an image holds, by path: bytes that are at hand, and blobs that are to be fetched."""
    try:
        top, data = registry.manifest(pin)
        if form == "layout":
            return images.read_layout(top, data, registry.manifest_of, reference)
        return {}, images.read_titled(data, reference)
    except MalformedError as error:
        error.hint = "do not use this image; ask its maker for one that follows OCI, and pin that"
        raise


def _choose(
    source: Mapping[str, Any], wanted: Sequence[Wanted], *, alone: bool
) -> tuple[tuple[Wanted, ...], Chosen]:
    """Return what the patterns of a source leave; what was named ``alone`` is no leftover, whatever it is called."""
    chosen = choose([item.path for item in wanted], patterns.of_source(source), alone=alone)
    kept = frozenset(chosen.kept)
    if not kept:
        raise NotHeldError(
            "the source has no such files",
            expected=", ".join(source.get("include", ())) or "any file",
            found=f"{len(chosen.left_out)} left out by patterns, {len(chosen.skipped)} leftovers",
            hint="correct `include` and `exclude`, or leave them out",
        )
    return tuple(item for item in wanted if item.path in kept), chosen


def _stated_size(wanted: Wanted) -> int | None:
    """Return the size that the manifest of an image states: a ``Measure``."""
    return wanted.size


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
