"""Make a release: gather what an authored manifest names, check it, propose it to the release authority (SPEC L3).

Order of writes: content, then the manifest, then the index of releases, then the pending change, then signatures.
Whatever fails, content that no release names is removed again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from dataclasses import replace as changed
from datetime import datetime
from pathlib import Path
from typing import Any

from airlift import __version__, authored, files
from airlift import progress as progress_module
from airlift.bundle import patterns
from airlift.bundle import release as releases
from airlift.bundle.manifest import ReleaseRef
from airlift.bundle.release import Component, FileEntry, Release, Requirement
from airlift.errors import (
    AirliftError,
    DigestError,
    ExistsError,
    MalformedError,
    ManifestError,
    PendingError,
)
from airlift.intake.collect import Collected, Survey, Take, collect, insist, judge, led_outside, survey
from airlift.low.authority.pending import (
    Change,
    pending_releases,
    pending_roles,
    previous_release,
    published_quorum,
)
from airlift.low.authority.review import describe_release
from airlift.low.authority.sign import sign_roles
from airlift.low.depot import revoked
from airlift.low.depot.depot import Depot
from airlift.low.depot.digest_cache import open_digest_cache
from airlift.low.depot.events import record
from airlift.low.release import gguf_sets, hub
from airlift.low.release.adapters import object_to_tokenizers
from airlift.low.release.assemble import accepted_in, assemble_component, find_marking
from airlift.low.release.parents import find_parents
from airlift.low.release.placeholder import check_filled_in
from airlift.low.release.vendor_signature import check_vendor_signature
from airlift.policy.objections import check_comparable, requirement_objections
from airlift.progress import Progress, Tally
from airlift.store.content import CountBytes, Digested, digest
from airlift.trust.keys.public import Signer
from airlift.trust.tuf import proposal, targets
from airlift.trust.tuf.metadata import TARGETS

SCHEMA = "release.schema.json"


@dataclass(frozen=True, slots=True)
class ReleaseResult:
    """What was released, and how far its signatures have come.

    ``files`` counts paths; ``bytes`` are those of its distinct contents, ``new_bytes`` those that the depot did not
    hold; ``skipped`` names what was passed over, ``unrecognised`` what the gate neither objects to nor knows.
    ``already`` says that this very release was here before. ``warnings`` tell what a person should look at.
    """

    release: str
    digest: str
    signatures: int
    threshold: int
    published: bool
    already: bool
    files: int
    bytes: int
    new_bytes: int
    skipped: tuple[str, ...]
    unrecognised: tuple[str, ...]
    differences: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Draft:
    """A release that was gathered; ``new`` are the contents that the depot did not hold, by SHA-512.

    ``documents`` are vendors' signature files.
    """

    release: Release
    new: Mapping[str, int]
    skipped: tuple[str, ...]
    unrecognised: tuple[str, ...]
    documents: tuple[bytes, ...]
    warnings: tuple[str, ...]


def make_release(
    depot: Depot,
    manifest: Path,
    *,
    signers: Sequence[Signer] = (),
    now: datetime,
    dry_run: bool = False,
    replace: bool = False,
    progress: Progress = progress_module.silent,
) -> ReleaseResult:
    """Gather the release that the YAML file ``manifest`` describes, propose it, and sign it if keys are given.

    The same release again is no error and adds signatures. ``replace`` drops another pending change of the release
    authority, and the signatures collected for it.

    Raises:
        ManifestError, ForbiddenFileError: the manifest or a file cannot be released: exit 2.
        ExistsError: the release, or a version of a component, was published with other content.
        PendingError: another change is pending.
        UnpublishedError: the depot itself still lacks signatures.
        RevokedError: something in it is revoked.
        RequirementError: the release does not meet its own requirements.
        UncheckedError: a source cannot be read, or changes meanwhile.
    """
    document = _authored(manifest)
    with nullcontext() if dry_run else depot.lock():
        depot.store.published(TARGETS)
        if not replace:
            _check_not_pending(depot, f"{document['release']}@{document['version']}")
        with _gathered(depot, document, manifest.parent, progress, keep=not dry_run) as draft:
            known = _check_new(depot, draft.release, replace=replace)
            revoked.check_release(draft.release, revoked.in_force(depot))
            if dry_run:
                lines = tuple(describe_release(draft.release, previous_release(depot, draft.release)))
                return _result(depot, draft, (), lines, known=known)
            _keep(depot, draft)
        _note(depot, draft.new, now)
        return _propose(depot, draft, signers, now, known=known, replace=replace)


def draft_release(depot: Depot, manifest: Path, progress: Progress) -> Release:
    """Gather what ``manifest`` describes, and keep nothing; see :func:`make_release`."""
    with _gathered(depot, _authored(manifest), manifest.parent, progress, keep=False) as draft:
        return draft.release


def _authored(manifest: Path) -> Mapping[str, Any]:
    document = authored.load(str(manifest), files.read_bounded(manifest, authored.MAX_BYTES), SCHEMA)
    check_filled_in(str(manifest), document)
    return document


def _note(depot: Depot, new: Iterable[str], now: datetime) -> None:
    """Note in the digest cache the contents that just came in."""
    cache = open_digest_cache(depot, now)
    for sha512 in new:
        cache.note_written(sha512)
    cache.save()


def _propose(
    depot: Depot, draft: _Draft, signers: Sequence[Signer], now: datetime, *, known: bool, replace: bool
) -> ReleaseResult:
    """Make the kept release a pending change unless it is one, or published; sign it."""
    if depot.is_published(draft.release.digest):
        return _result(depot, draft, (), (), known=True)
    if draft.release not in pending_releases(depot):
        data = releases.format(draft.release)
        target = targets.describe(releases.target_name(draft.release.digest), TARGETS, data, {})
        proposal.propose_target(depot.store, target, now, replace=replace)
    changes = sign_roles(depot, (TARGETS,), signers, now)
    result = _result(depot, draft, changes, changes[0].differences, known=known)
    record(
        depot,
        now,
        "release",
        release=result.release,
        digest=result.digest,
        signatures=result.signatures,
        published=result.published,
        airlift=__version__,
    )
    return result


def _result(
    depot: Depot, draft: _Draft, changes: tuple[Change, ...], lines: tuple[str, ...], *, known: bool
) -> ReleaseResult:
    published = depot.is_published(draft.release.digest)
    contents = draft.release.contents()
    signatures, threshold = published_quorum(depot)
    return ReleaseResult(
        release=draft.release.label,
        digest=draft.release.digest,
        signatures=changes[0].signatures if changes else signatures if published else 0,
        threshold=changes[0].threshold if changes else threshold,
        published=published,
        already=known,
        files=sum(1 for _ in draft.release.files()),
        bytes=sum(contents.values()),
        new_bytes=sum(draft.new.values()),
        skipped=draft.skipped,
        unrecognised=draft.unrecognised,
        differences=lines,
        warnings=draft.warnings,
    )


# -- what was there before -----------------------------------------------------------------------------------------


def _check_not_pending(depot: Depot, label: str) -> None:
    """Refuse now, before hours of gathering, a change that :mod:`airlift.trust` would refuse in the end."""
    waiting = [release.label for release in pending_releases(depot)]
    if TARGETS in pending_roles(depot) and label not in waiting:
        raise PendingError(
            "a change of the release authority's metadata is pending",
            found=", ".join(waiting) or "other than a release",
        )


def _check_new(depot: Depot, draft: Release, *, replace: bool) -> bool:
    """Say whether this very release is known; refuse a published name or component version with other content."""
    known = False
    for reference in depot.releases():
        published = depot.is_published(reference.digest)
        if reference.label == draft.label and reference.digest == draft.digest:
            known = True
        elif reference.label == draft.label and (published or not replace):
            raise ExistsError(
                f"release {draft.label} exists with other content",
                expected=reference.digest[:16],
                found=draft.digest[:16],
                hint="choose another version" if published else "choose another version, or say --replace",
            )
        elif published:
            _check_versions(draft, depot.load_release(reference.digest))
    return known


def _check_versions(draft: Release, earlier: Release) -> None:
    """Refuse a component whose files changed though its version did not: who names it could mean either.

    Leftovers do not count: an earlier airlift carried some that are passed over now.
    """
    before = {(component.name, component.version): _essence(component) for component in earlier.components}
    for component in draft.components:
        mine = _essence(component)
        if before.get((component.name, component.version), mine) != mine:
            raise ExistsError(
                f"component {component.name} {component.version} has other content than in release {earlier.label}",
                hint="give the component another version",
            )


def _essence(component: Component) -> frozenset[tuple[str, str]]:
    """Return path and SHA-512 of every file of a component that is no leftover."""
    return frozenset((f.path, f.sha512) for f in component.files if patterns.leftover(f.path) is None)


def _keep(depot: Depot, draft: _Draft) -> None:
    made = draft.release
    for document in (*draft.documents, releases.format(made)):
        depot.documents.keep(document)
    others = tuple(reference for reference in depot.releases() if reference.label != made.label)
    depot.write_releases((*others, ReleaseRef(made.digest, made.name, made.version)))


# -- gathering -----------------------------------------------------------------------------------------------------


@contextmanager
def _gathered(
    depot: Depot, document: Mapping[str, Any], folder: Path, progress: Progress, *, keep: bool
) -> Iterator[_Draft]:
    """Gather every component of an authored manifest; if anything fails, forget the content that came in."""
    new: dict[str, int] = {}
    before = depot.releases()
    try:
        yield _gather(depot, document, folder, progress, new, keep=keep)
    except BaseException:
        if keep and _lists_only(depot, before):
            for sha512 in new:
                depot.content.remove(sha512)
        raise


def _lists_only(depot: Depot, known: Sequence[ReleaseRef]) -> bool:
    """Say whether the depot lists these releases and surely no other: what it may name must stay."""
    try:
        return depot.releases() == tuple(known)
    except AirliftError:
        return False


def _gather(
    depot: Depot,
    document: Mapping[str, Any],
    folder: Path,
    progress: Progress,
    new: dict[str, int],
    *,
    keep: bool,
) -> _Draft:
    items = sorted(document["components"], key=lambda item: str(item["name"]))
    found = [_survey(item, folder, progress) for item in items]
    tally = Tally("gathering", sum(sum(one.sizes.values()) for one, _ in found), progress)
    take = _take(depot, new, keep=keep)
    taken, signatures, unrecognised, warnings = list[Collected](), [], [], list[str]()
    for item, (one, claimed) in zip(items, found, strict=True):
        warnings += gguf_sets.examine(item["name"], one.paths)
        if "path" in item["source"]:
            warnings += led_outside(item["name"], folder / item["source"]["path"], one)
        collected = collect(item["name"], item["kind"], one, take, tally.add, accepted=accepted_in(item))
        warnings += [f"{item['name']}: {text}" for text in collected.told]
        unrecognised += [f"{item['name']}/{path}" for path in collected.unrecognised]
        _check_claimed(item["name"], collected.entries, claimed)
        signatures.append(check_vendor_signature(item, folder, collected.entries))
        taken.append(collected)
    components = [
        changed(assemble_component(item, one, collected, signature), parents=bare.parents)
        for item, (one, _), (bare, collected), signature in zip(
            items, found, _related(depot, items, taken), signatures, strict=True
        )
    ]
    skipped = tuple(
        f"{item['name']}/{path}" for item, (one, _) in zip(items, found, strict=True) for path in one.skipped
    )
    documents = tuple(signature.data for signature in signatures if signature)
    checked = _checked(document, tuple(components))
    return _Draft(checked, new, skipped, tuple(unrecognised), documents, tuple(warnings))


def _related(
    depot: Depot, items: Sequence[Mapping[str, Any]], taken: Sequence[Collected]
) -> Iterator[tuple[Component, Collected]]:
    """Yield each component with no more than its parents and files, and what was gathered for it.

    What the gate has against it beside its parents is judged here, once all components are there.
    """
    bare = [
        Component(item["name"], item["kind"], item["version"], "", {}, collected.entries)
        for item, collected in zip(items, taken, strict=True)
    ]
    gathered = {
        component.digest: collected.tokenizers for component, collected in zip(bare, taken, strict=True)
    }
    for item, component, collected in zip(items, bare, taken, strict=True):
        related = changed(component, parents=find_parents(depot, item, bare))
        more = tuple(object_to_tokenizers(depot, related, gathered))
        insist(item["name"], more, accepted_in(item))
        yield related, changed(collected, met=(*collected.met, *more))


def _take(depot: Depot, new: dict[str, int], *, keep: bool) -> Take:
    """Return how a file is taken in; what the depot did not hold is put down in ``new`` at once."""
    sizes = {
        size
        for reference in depot.releases()
        for size in depot.load_release(reference.digest).contents().values()
    }

    def take(descriptor: int, path: Path, read: CountBytes) -> Digested:
        if not keep:
            taken = digest(descriptor, path, read)
            is_new = not depot.content.path(taken.sha512).exists()
        else:
            taken = depot.content.keep(descriptor, path, read, sizes=sizes)
            is_new = taken.new
        if is_new:
            new[taken.sha512] = taken.size
        return taken

    return take


def _survey(item: Mapping[str, Any], folder: Path, progress: Progress) -> tuple[Survey, Mapping[str, str]]:
    """Find a component's files, and the SHA-256 that their origin states, by relative path."""
    source = item["source"]
    if "path" in source:
        chosen = patterns.of_source(source)
        return survey(item["name"], folder / source["path"], chosen), {}
    fetched = hub.fetch(
        source["hub"],
        source["revision"],
        source.get("include", ()),
        progress=progress,
        exclude=source.get("exclude", ()),
    )
    found = judge(item["name"], fetched.paths, fetched.skipped, fetched.left_out)
    return found, fetched.sha256


def _check_claimed(component: str, entries: tuple[FileEntry, ...], claimed: Mapping[str, str]) -> None:
    for entry in entries:
        if claimed.get(entry.path, entry.sha256) != entry.sha256:
            raise DigestError(
                f"component {component}: {entry.path} is not what the endpoint says it is",
                expected=f"SHA-256 {claimed[entry.path]}",
                found=entry.sha256,
                hint="remove it from the Hugging Face cache and fetch it again",
            )


def _checked(document: Mapping[str, Any], components: tuple[Component, ...]) -> Release:
    """Return the release, valid under its own format and requirements."""
    draft = Release(
        name=document["release"],
        version=document["version"],
        marking=find_marking(document, components),
        notes=document.get("notes", ""),
        components=components,
        requires=tuple(
            Requirement(r["component"], r["needs"], r["version"]) for r in document.get("requires", ())
        ),
    )
    try:
        draft = releases.parse(releases.format(draft))
    except MalformedError as error:
        raise ManifestError(error.message, expected=error.expected, found=error.found) from error
    check_comparable(draft)
    objections = requirement_objections(draft)
    if objections:
        raise objections[0]
    return draft
