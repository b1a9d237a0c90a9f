"""Gather every component that an authored manifest names: from a path, a hub, an address, an enclave (SPEC L2)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from airlift import files
from airlift.bundle import patterns
from airlift.bundle.component.component import Component
from airlift.errors import DigestError
from airlift.intake.collect import (
    Collected,
    Survey,
    Take,
    Taking,
    collect,
    insist,
    judge,
    led_outside,
    survey,
)
from airlift.intake.waivers import accepted_in
from airlift.low.depot.depot import Depot
from airlift.low.release import gguf_sets, take_over
from airlift.low.release.adapters import object_to_tokenizers
from airlift.low.release.assemble import assemble_component
from airlift.low.release.hub.fetch import Wanted, fetch_commit
from airlift.low.release.parents import find_parents
from airlift.low.release.take_over import Part
from airlift.low.release.vendor_signature import CheckedSignature, check_vendor_signature
from airlift.low.sources import fetch
from airlift.low.sources.fetch import Fetched
from airlift.progress import Progress, Tally
from airlift.store.content import Check, CountBytes


@dataclass(frozen=True, slots=True)
class Gathered:
    """Components, sorted by name; what was passed over, what the gate did not recognise, what to look at.

    ``documents`` are vendors' signature files. ``pieces`` are the digests of the pieces of contents that have any
    (SHA-512, joined), by their SHA-512; nothing if they were not asked for.
    """

    components: tuple[Component, ...]
    skipped: tuple[str, ...]
    unrecognised: tuple[str, ...]
    documents: tuple[bytes, ...]
    warnings: tuple[str, ...]
    pieces: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class _Found:
    """A component whose files were found: where they lie, and the SHA-256 that their origin states, by path.

    ``fetched`` says what was digested while it was fetched from an address.
    """

    part: Part
    survey: Survey
    claimed: Mapping[str, str]
    fetched: Fetched | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """A component whose files were read, and its vendor's signature over them; parents are not looked at yet."""

    found: _Found
    collected: Collected
    signature: CheckedSignature | None

    @property
    def bare(self) -> Component:
        """What was taken over, or else no more than name, kind, version and files."""
        part = self.found.part
        if part.taken is not None:
            return part.taken.component
        item = part.item
        return Component(item["name"], item["kind"], item["version"], "", {}, self.collected.entries)


def gather_components(
    depot: Depot,
    items: Iterable[Mapping[str, Any]],
    folder: Path,
    progress: Progress,
    new: dict[str, int],
    *,
    keep: bool,
    pieces: bool,
) -> Gathered:
    """Gather the components ``items`` of a manifest in ``folder``, into the depot's content if ``keep`` says so.

    What the depot did not hold is put down in ``new`` (size in bytes by SHA-512) at once. ``pieces`` says that the
    pieces of large files are digested as well.

    Raises:
        AirliftError: as :func:`airlift.low.release.make_release.make_release`.
    """
    with take_over.holding(depot, items, folder) as parts, files.naming() as all_names:
        names = all_names if keep else None
        found = [_find(depot, part, folder, progress) for part in parts]
        tally = Tally("gathering", sum(sum(one.survey.sizes.values()) for one in found), progress)
        stated, warnings = dict[str, bytes](), list[str]()
        asked = stated if pieces else None
        take = Taking(depot.content, new, _sizes(depot, found), names, _claims(found), asked)
        read = []
        for one in found:
            warnings += _look(one, folder)
            fetched = one.fetched
            taken = fetch.taking(fetched, depot.content, new, names, stated) if fetched is not None else take
            read.append(_read(one, folder, taken, tally.add))
    warnings += [f"{item.found.part.name}: {text}" for item in read for text in item.collected.told]
    return Gathered(
        tuple(_complete(depot, read)),
        tuple(f"{one.part.name}/{path}" for one in found for path in one.survey.skipped),
        tuple(f"{item.found.part.name}/{path}" for item in read for path in item.collected.unrecognised),
        tuple(item.signature.data for item in read if item.signature is not None),
        tuple(warnings),
        stated if pieces else {},
    )


def _look(one: _Found, folder: Path) -> Iterator[str]:
    """Yield what a person should look at before the files are read."""
    yield from gguf_sets.examine(one.part.name, one.survey.paths)
    source = one.part.item["source"]
    if "path" in source:
        yield from led_outside(one.part.name, folder / source["path"], one.survey)


def _read(one: _Found, folder: Path, take: Take, read: CountBytes) -> _Read:
    """Read, judge and digest the files of a component, and verify its vendor's signature over them."""
    item, taken = one.part.item, one.part.taken
    if taken is not None:
        collected = taken.collect(one.survey, take, read)
        return _Read(one, collected, taken.check_signature(collected.entries))
    collected = collect(item["name"], item["kind"], one.survey, take, read, accepted=accepted_in(item))
    return _Read(one, collected, check_vendor_signature(item, folder, collected.entries))


def _complete(depot: Depot, read: Sequence[_Read]) -> Iterator[Component]:
    """Yield each component with its parents; what the gate has against it beside them is judged here (SPEC L2.14)."""
    bare = [item.bare for item in read]
    tokenizers = {
        component.digest: item.collected.tokenizers for component, item in zip(bare, read, strict=True)
    }
    for item, component in zip(read, bare, strict=True):
        part = item.found.part
        if part.taken is not None:
            waived = {(waiver.what, path) for waiver in component.accept for path in waiver.files}
            more = tuple(object_to_tokenizers(depot, component, tokenizers))
            insist(part.name, [one for one in more if (one.what, one.path) not in waived], frozenset())
            yield component
            continue
        parents = find_parents(depot, part.item, bare)
        more = tuple(object_to_tokenizers(depot, replace(component, parents=parents), tokenizers))
        insist(part.name, more, accepted_in(part.item))
        met = replace(item.collected, met=(*item.collected.met, *more))
        stated = None if item.found.fetched is None else item.found.fetched.stated
        made = assemble_component(part.item, item.found.survey, met, item.signature, stated)
        yield replace(made, parents=parents)


def _sizes(depot: Depot, found: Iterable[_Found]) -> frozenset[int]:
    """Return the sizes (bytes) of the files of all releases, none if only small files were found."""
    if all(size <= files.SMALL_BYTES for one in found for size in one.survey.sizes.values()):
        return frozenset()
    held = (depot.load_release(reference.digest) for reference in depot.releases())
    return frozenset(size for release in held for size in release.contents().values())


def _find(depot: Depot, part: Part, folder: Path, progress: Progress) -> _Found:
    """Find a component's files, and the SHA-256 that their origin states, by relative path."""
    item, source = part.item, part.item["source"]
    if part.taken is not None:
        return _Found(part, part.taken.survey(), {})
    if "path" in source:
        found = survey(item["name"], folder / source["path"], patterns.of_source(source))
        take_over.check_outside(item["name"], found.paths.values())
        return _Found(part, found, {})
    if "hub" not in source:
        come = fetch.fetch(depot, source, folder, progress)
        return _Found(part, judge(item["name"], come.paths, come.skipped, come.left_out), {}, come)
    wanted = Wanted(source["hub"], source["revision"], source.get("include", ()), source.get("exclude", ()))
    fetched = fetch_commit(wanted, progress=progress, digested=False)
    found = judge(item["name"], fetched.paths, fetched.skipped, fetched.left_out)
    return _Found(part, found, fetched.sha256)


def _claims(found: Iterable[_Found]) -> Check:
    """Return what refuses a file that is not what its origin states, before it is kept."""
    claims = {
        one.survey.paths[path]: (one.part, path, sha256)
        for one in found
        for path, sha256 in one.claimed.items()
    }

    def check(path: Path, sha256: str) -> None:
        part, relative, claimed = claims.get(path, (None, "", sha256))
        if part is None or claimed == sha256:
            return
        source = part.item["source"]
        raise DigestError(
            f"component {part.name}: {relative} is not what the endpoint says it is",
            expected=f"SHA-256 {claimed}",
            found=sha256,
            hint=f"fetch it anew: `airlift low fetch {source['hub']} --revision {source['revision']}`, "
            "then run the same command again",
        )

    return check
