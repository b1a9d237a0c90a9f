"""Draft a release manifest for what lies in folders, with what the gate has against it in comments (SPEC L3.5)."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import yaml

from airlift import files
from airlift import progress as progress_module
from airlift.bundle.component.component import Component
from airlift.bundle.release import Release
from airlift.errors import ExistsError, ForbiddenFileError
from airlift.intake.collect import Digesting, Survey, collect, survey
from airlift.intake.gate.verdict import DRIFT, KINDS, REMOTE_CODE, Objection
from airlift.low.depot.depot import Depot
from airlift.low.drafting import propose
from airlift.low.drafting.recognise import Portrait, recognise
from airlift.low.release import gguf_sets
from airlift.low.release.placeholder import FILL_IN
from airlift.progress import Progress, Tally
from airlift.shown import clean

MAX_TOLD = 20
RELEASE = "release"

_WIDTH = 1 << 20


@dataclass(frozen=True, slots=True)
class DraftedComponent:
    """A component as it was drafted; ``objections``: what the gate will say; ``told``: what a person should know."""

    name: str
    kind: str
    version: str
    folder: Path
    objections: tuple[str, ...]
    told: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DraftResult:
    """The text of a manifest, and where it was written to; ``lacking`` are published components without a folder."""

    manifest: str
    output: Path | None
    release: str
    components: tuple[DraftedComponent, ...]
    lacking: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """A folder that was looked at: its files, what it is, and what the gate says."""

    folder: Path
    name: str
    files: Survey
    portrait: Portrait
    digest: str | None = None
    objections: tuple[Objection, ...] = ()
    refusal: ForbiddenFileError | None = None


def draft(
    folders: Sequence[Path],
    *,
    depot: Depot | None = None,
    output: Path | None = None,
    progress: Progress = progress_module.silent,
) -> DraftResult:
    """Return a manifest for the components in ``folders``; with ``output`` also write it to that new file.

    Raises:
        ExistsError: something is at ``output``.
        ForbiddenFileError: a folder holds what no component may, judging by paths, or nothing.
        UncheckedError: a file cannot be read, or there is no such folder.
    """
    if output is not None and (output.exists() or output.is_symlink()):
        raise ExistsError(f"{output} exists", hint="choose another file; nothing is overwritten")
    releases = propose.published(depot) if depot else ()
    newest = releases[-1] if releases else None
    found = list[_Found]()
    for folder in folders:
        found.append(_look(folder, [item.name for item in found], newest))
    tally = Tally("looking", sum(sum(item.files.sizes.values()) for item in found), progress)
    found = [_judged(item, tally) for item in found]
    name = newest.name if newest else found[0].name if len(found) == 1 else RELEASE
    made = [_component(item, found, releases, _start(output)) for item in found]
    lacking = _lacking(found, newest)
    version = propose.release_version(releases, name)
    lines = [*_head(name, version, newest, lacking), *(line for _, text in made for line in text)]
    text = "".join(f"{line}\n" for line in [*lines, *_requires(found, newest)])
    if output is not None:
        files.write_durable(output, text.encode(), mode=0o644, replace=False)
    return DraftResult(text, output, f"{name}@{version}", tuple(item for item, _ in made), lacking)


def _start(output: Path | None) -> Path:
    """Return the folder from which paths in the manifest lead."""
    return (Path.cwd() if output is None else output.parent).resolve()


# -- looking -------------------------------------------------------------------------------------------------------


def _look(folder: Path, taken: list[str], newest: Release | None) -> _Found:
    there = survey(folder.resolve().name, folder)
    portrait = recognise(folder.resolve(), there.paths)
    known = portrait.hub[0].rpartition("/")[2] if portrait.hub else folder.resolve().name
    return _Found(folder, propose.component_name(known, taken, newest), there, portrait)


def _judged(found: _Found, tally: Tally) -> _Found:
    """Ask the gate about every file, and digest them all; what nothing can meet ends it."""
    name, kind = found.name, found.portrait.kind
    try:
        gguf_sets.examine(name, found.files.paths)
        said = collect(name, kind, found.files, Digesting(), tally.add, accepted=frozenset(KINDS))
    except ForbiddenFileError as error:
        return changed(found, refusal=error)
    whole = Component(name, kind, propose.FIRST, "", {}, said.entries)
    return changed(found, digest=whole.digest, objections=said.met)


def _lacking(found: Sequence[_Found], newest: Release | None) -> tuple[str, ...]:
    here = {item.name for item in found}
    return tuple(
        f"{item.name} {item.version}"
        for item in (newest.components if newest else ())
        if item.name not in here
    )


# -- writing -------------------------------------------------------------------------------------------------------


def _head(name: str, version: str, newest: Release | None, lacking: tuple[str, ...]) -> Iterator[str]:
    yield "# a draft: read it, decide what is FILL-IN, then give it to `airlift low release`"
    if newest:
        yield f"# versions follow {newest.label}, the newest published release"
    if lacking:
        yield f"# a release is the whole set, and no folder was given for: {', '.join(lacking)}"
    yield from _yaml({"airlift": 1, "release": name, "version": version})
    if newest:
        yield f"# {newest.label} is marked {newest.marking}"
    yield from _yaml({"marking": {"level": FILL_IN, "caveats": []}})
    yield "components:"


def _component(
    found: _Found, all_found: Sequence[_Found], releases: Sequence[Release], start: Path
) -> tuple[DraftedComponent, list[str]]:
    """Return a component, and its lines."""
    version, why = propose.component_version(releases, found.name, found.digest)
    parents, told = _parents(found, all_found, releases[-1] if releases else None)
    portrait = found.portrait
    item: dict[str, Any] = {"name": found.name, "kind": portrait.kind, "version": version}
    item["source"] = _source(found, start)
    reasons = {"kind": portrait.why, "version": why}
    if portrait.license:
        item["license"] = portrait.license
        reasons["license"] = portrait.license_told_by
    else:
        told.append("no file tells its license")
    item |= {"parents": parents} if parents else {}
    objections = _objections(found)
    lines = [f"  # {clean(text)}" for text in (*told, *objections)]
    for number, (key, value) in enumerate(item.items()):
        first, *rest = _yaml({key: value})
        reason = f"  # {clean(reasons[key])}" if key in reasons else ""
        lines.append(f"  {'- ' if number == 0 else '  '}{first}{reason}")
        lines += [f"    {line}" for line in rest]
        if key == "source":
            lines += [f"      # {clean(line)}" for line in _exclusion(found.objections)]
    lines += [f"    # {line}" for line in _waivers(found.objections)]
    return DraftedComponent(found.name, portrait.kind, version, found.folder, objections, tuple(told)), lines


def _source(found: _Found, start: Path) -> dict[str, Any]:
    if found.portrait.hub:
        repo, revision = found.portrait.hub
        return {"hub": repo, "revision": revision}
    return {"path": os.path.relpath(found.folder.resolve(), start)}


def _parents(
    found: _Found, all_found: Sequence[_Found], newest: Release | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the parents that are known here, and what is to be told of others."""
    known = [
        propose.Known(item.name, None, frozenset({item.name, *propose.names(item.folder.resolve().name)}))
        for item in all_found
    ]
    known += [
        item for item in propose.known_components(newest) if item.name not in {one.name for one in known}
    ]
    parents, told = list[dict[str, Any]](), list[str]()
    for base in found.portrait.bases:
        parent = propose.parent(base, found.name, known)
        if parent is None:
            told.append(f"{base.told_by} says {base.relation} {base.reference}, which is not known here")
        elif parent not in parents:
            parents.append(parent)
    return parents, told


def _objections(found: _Found) -> tuple[str, ...]:
    """Return what `low release` will say, one line each."""
    if found.refusal is not None:
        return (f"low release will refuse it: {found.refusal.message}; {found.refusal.hint}",)
    told = [
        f"low release will object ({item.what}): {item.message}; {item.hint}" for item in found.objections
    ]
    more = [f"and {len(told) - MAX_TOLD} more"] if len(told) > MAX_TOLD else []
    return (*told[:MAX_TOLD], *more)


def _exclusion(objections: Sequence[Objection]) -> list[str]:
    """Return the lines that leave out the files that are objected to, for who does not need them."""
    paths = sorted({item.path for item in objections if item.what not in {DRIFT, REMOTE_CODE}})
    plain = all(re.fullmatch(r"[\w./ -]+", path) for path in paths)
    return _yaml({"exclude": paths}) if plain and 0 < len(paths) <= MAX_TOLD else []


def _waivers(objections: Sequence[Objection]) -> list[str]:
    """Return the line that meets the objections, for who has a reason."""
    kinds = sorted({item.what for item in objections})
    return (
        [f"accept: [{', '.join(f'{{what: {kind}, reason: {FILL_IN}}}' for kind in kinds)}]"] if kinds else []
    )


def _requires(found: Sequence[_Found], newest: Release | None) -> list[str]:
    """Return the requirements of the newest release whose components are all here."""
    here = {item.name for item in found} | {item.portrait.kind for item in found}
    kept = [
        {"component": one.component, "needs": one.needs, "version": one.version}
        for one in (newest.requires if newest else ())
        if {one.component, one.needs} <= here
    ]
    return [*_yaml({"requires": kept})] if kept else []


def _yaml(document: dict[str, Any]) -> list[str]:
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=False, width=_WIDTH)
    return text.splitlines()
