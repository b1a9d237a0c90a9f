"""Make a release: gather what an authored manifest names, check it, propose it to the release authority (SPEC L3).

Order of writes: content, then the manifest, then the index of releases, then the pending change, then signatures.
Whatever fails, content that no release names is removed again.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from dataclasses import replace as replace_members
from datetime import datetime
from pathlib import Path
from typing import Any

from airlift import __version__, authored, files
from airlift import progress as progress_module
from airlift.bundle import patterns, piece_table
from airlift.bundle import release as releases
from airlift.bundle.component import variant
from airlift.bundle.component.component import Component
from airlift.bundle.manifest import ReleaseRef
from airlift.bundle.release import Release, Requirement
from airlift.errors import AirliftError, ExistsError, MalformedError, ManifestError, PendingError
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
from airlift.low.release.assemble import find_marking
from airlift.low.release.gather import Gathered, gather_components
from airlift.low.release.placeholder import check_filled_in
from airlift.low.sources.fetch import forget_held
from airlift.policy.objections import check_comparable, requirement_objections
from airlift.progress import Progress
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

    ``tables`` has its table of pieces, if it states any.
    """

    release: Release
    tables: tuple[bytes, ...]
    new: Mapping[str, int]
    gathered: Gathered


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
        MarkingError: it lowers the marking of what it takes over from an enclave.
        LedgerError, ContentDamagedError: what it takes over is not what that enclave's ledger leads to.
        NotHeldError: an enclave does not hold what is to be taken over.
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
        forget_held(depot, draft.release.contents())
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
        skipped=draft.gathered.skipped,
        unrecognised=draft.gathered.unrecognised,
        differences=lines,
        warnings=draft.gathered.warnings,
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
    for document in (*draft.gathered.documents, *draft.tables, releases.format(made)):
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
        items = list(variant.expand(document["components"]))
        wanted = document.get("pieces", True)
        gathered = gather_components(depot, items, folder, progress, new, keep=keep, pieces=wanted)
        made = _checked(document, gathered.components)
        yield _Draft(*_with_pieces(made, gathered, before), new, gathered)
    except BaseException:
        if keep and _lists_only(depot, before):
            depot.content.remove(new)
        raise


def _with_pieces(
    made: Release, gathered: Gathered, known: Sequence[ReleaseRef]
) -> tuple[Release, tuple[bytes, ...]]:
    """Return a release that states the pieces of its large files, if it has any, and the table of them (SPEC 5.8-4).

    The very release that the depot knows without them stays as it is.
    """
    fit = gathered.pieces and piece_table.can_have(made)
    if not fit or made.digest in {reference.digest for reference in known}:
        return made, ()
    table = piece_table.format(made, gathered.pieces)
    return replace_members(made, pieces=hashlib.sha512(table).hexdigest()), (table,)


def _lists_only(depot: Depot, known: Sequence[ReleaseRef]) -> bool:
    """Say whether the depot lists these releases and surely no other: what it may name must stay."""
    try:
        return depot.releases() == tuple(known)
    except AirliftError:
        return False


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
