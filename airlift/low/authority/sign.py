"""Sign: show what a pending change does, read again what it names, add signatures (SPEC 4.3).

On the depot's machine, or on another one: the change with its documents is written to a file, a member signs that
file without any depot, and its signatures are taken back from it (:class:`Transfer`).
"""

import shlex
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from airlift import files
from airlift import progress as progress_module
from airlift.bundle import piece_table
from airlift.bundle.release import Release
from airlift.errors import DigestError, ExistsError, UsageError
from airlift.low.authority.pending import (
    Change,
    changed_documents,
    describe_change,
    parse_releases,
    pending_changes,
    pending_releases,
    pending_roles,
    published_quorum,
    to_change,
    unsigned,
)
from airlift.low.authority.review import describe_release
from airlift.low.depot.depot import Depot
from airlift.low.depot.digest_cache import open_digest_cache
from airlift.low.depot.events import record
from airlift.progress import Progress, Tally
from airlift.trust.keys.public import Signer
from airlift.trust.tuf import change, change_file, metadata, publication, roles
from airlift.trust.tuf.metadata import ROOT, TARGETS
from airlift.trust.tuf.publication import SigningStatus

_SEE = "see what is published: `airlift low list`"
_RELEASE = change.LABELS[TARGETS]
_ROLES = {"root": ROOT, "release": TARGETS, "targets": TARGETS}


@dataclass(frozen=True, slots=True)
class Transfer:
    """The files in which a change travels between machines: one to take signatures from, one to write it to."""

    import_: Path | None = None
    export: Path | None = None


NO_FILES = Transfer()


@dataclass(frozen=True, slots=True)
class SignResult:
    """The changes that were signed, exported or merged; the plain fields are those of the first one.

    ``release`` and ``digest`` are None if the change is about no release; ``published`` is True when nothing more is
    needed. Without a depot only signing happens: ``published`` is False then. ``exported`` is the file written.
    """

    release: str | None
    digest: str | None
    signatures: int
    threshold: int
    published: bool
    changes: tuple[Change, ...]
    exported: Path | None


def sign(
    depot: Depot | None,
    what: str | None,
    *,
    signers: Sequence[Signer] = (),
    transfer: Transfer = NO_FILES,
    now: datetime,
    dry_run: bool = False,
    progress: Progress = progress_module.silent,
) -> SignResult:
    """Sign the pending change that ``what`` names: ``root``, ``release``, a release (``name@version``), None for all.

    ``transfer`` says from which file signatures come, and to which one the change goes. Without a depot, the change
    in the one file is signed with ``signers`` and written to the other. ``dry_run`` only tells what there is to sign.

    Raises:
        UsageError: nothing of that name is pending, or there is nothing to do.
        KeyUnavailableError: a key is no member of the role that must sign.
        DigestError: what would be signed is not what is there.
        PendingError, SignatureError: the imported file does not hold the pending change, or a good signature.
        ExistsError: the file to export to exists.
    """
    import_, export = transfer.import_, transfer.export
    if not (signers or export or import_ or dry_run):
        raise _nothing_given(depot)
    if export is not None and export.exists():
        raise ExistsError(f"{export} exists", hint="choose another file name")
    if depot is None:
        return _sign_file(signers, transfer, dry_run=dry_run)
    with nullcontext() if dry_run else depot.lock():
        reference = None if what is None or what in _ROLES else depot.find_release(what)
        if reference is not None and depot.is_published(reference.digest):
            return _result(depot.load_release(reference.digest), (), published_quorum(depot), None)
        proposed = pending_releases(depot)
        if import_ is not None and not dry_run:
            _merge(depot, import_, now)
        chosen = _choose(depot, what, reference.digest if reference else None, merged=import_ is not None)
        releases = pending_releases(depot) or proposed
        changes = _sign(depot, chosen, () if dry_run else signers, now, progress)
        exported = None if export is None or dry_run else _export(depot, chosen, export)
    return _result(releases[0] if releases else None, changes, published_quorum(depot), exported)


def _nothing_given(depot: Depot | None) -> UsageError:
    """Return an error that says what waits for whose signature, where nothing was given to sign it with."""
    expected = "--key, --export or --import"
    waiting = () if depot is None else pending_changes(depot)
    if depot is None or not waiting:
        return UsageError("nothing is pending", expected=expected, hint=_SEE)
    releases = ", ".join(release.label for release in pending_releases(depot))
    lack = [
        f"{item.role} ({releases if item.role == _RELEASE and releases else 'its members'}) lacks "
        f"{item.missing} of {item.threshold} signatures, of {' or '.join(item.may_sign) or 'nobody'}"
        for item in waiting
    ]
    signer = next((name for item in waiting for name in item.may_sign), "NAME")
    return UsageError(
        "nothing was given to sign with",
        expected=expected,
        found="; ".join(lack),
        hint=f"{signer} signs: `airlift low sign --key {shlex.quote(f'{signer}.key')}`; elsewhere: "
        f"`airlift low sign {waiting[0].role} --export change.json`",
    )


def _choose(depot: Depot, what: str | None, digest: str | None, *, merged: bool) -> tuple[str, ...]:
    """Return the TUF roles that ``what`` is about."""
    pending = pending_roles(depot)
    if what is None:
        if not pending and not merged:
            raise UsageError("nothing is pending", hint=_SEE)
        return pending
    role = _ROLES.get(what, TARGETS)
    waiting = [release.digest for release in pending_releases(depot)]
    if (role not in pending or (digest is not None and digest not in waiting)) and not merged:
        raise UsageError(
            f"{what} is not pending",
            hint="see `airlift low status`; a release whose change was replaced must be released again",
        )
    return (role,) if role in pending else ()


def _sign(
    depot: Depot, chosen: tuple[str, ...], signers: Sequence[Signer], now: datetime, progress: Progress
) -> tuple[Change, ...]:
    if signers and TARGETS in chosen:
        _recheck_content(depot, now, progress)
    changes = sign_roles(depot, chosen, signers, now)
    for item in changes if signers else ():
        record(depot, now, "sign", role=item.role, version=item.version, published=item.published)
    return changes


def _recheck_content(depot: Depot, now: datetime, progress: Progress) -> None:
    """Read every file of the releases to be signed again and compare it with its manifest and table of pieces.

    Raises:
        DigestError: a file is missing from the depot, or its bytes have changed.
    """
    releases = pending_releases(depot)
    wanted = {digest: size for release in releases for digest, size in release.contents().items()}
    pieces = dict[str, bytes]()
    for release in releases:
        if release.pieces:
            table = depot.documents.load(release.pieces, piece_table.length(release))
            for digest, stated in piece_table.parse(table, release).items():
                if pieces.setdefault(digest, stated) != stated:
                    raise DigestError(
                        f"two releases state different pieces of content {digest[:16]}: nothing was signed",
                        found=f"{release.label} states others",
                    )
    tally = Tally("checking", sum(wanted.values()), progress)
    cache = open_digest_cache(depot, now)
    for digest in wanted:
        looks = depot.content.verified_stamp(digest, tally.add, pieces.get(digest, b""))
        if looks is None:
            raise DigestError(
                f"content {digest[:16]} of the depot is missing or has changed: nothing was signed",
                hint=depot.repair_hint(digest),
            )
        cache.note(digest, looks)
    cache.save()


def sign_roles(
    depot: Depot, chosen: Sequence[str], signers: Sequence[Signer], now: datetime
) -> tuple[Change, ...]:
    """Sign the pending change of each role with those signers who are its members; every signer must be in one.

    Raises:
        KeyUnavailableError: a key is no member of any of these roles; nothing was signed.
        DigestError: a document is not what would be signed.
    """
    by_role = {role: _member_ids(depot, role) for role in chosen}
    for signer in signers:
        if chosen and not any(signer.public.key_id in known for known in by_role.values()):
            quorums = [
                roles.of(root, role) for root in publication.authorities(depot.store) for role in chosen
            ]
            publication.check_members(quorums, [signer])
    lines = {role: tuple(describe_change(depot, role)) for role in chosen}
    found: dict[str, SigningStatus] = {}
    for role in chosen:
        mine = [signer for signer in signers if signer.public.key_id in by_role[role]]
        status = publication.status(depot.store, role)
        if mine:
            found[role] = publication.sign(depot.store, role, mine, now, changed_documents(depot, role))
        elif status is not None:
            found[role] = status
    depot.refresh_root()
    settled = {role: _settled(depot, status) for role, status in found.items()}
    return tuple(to_change(one, lines[role], unsigned(depot, one)) for role, one in settled.items())


def _member_ids(depot: Depot, role: str) -> frozenset[str]:
    """Return the ids of the keys that may sign a change of root or targets."""
    return frozenset(change.union(*(roles.of(root, role) for root in publication.authorities(depot.store))))


def _settled(depot: Depot, status: SigningStatus) -> SigningStatus:
    """Return ``status`` as it stands now: a later signature may have published both changes at once."""
    if status.published:
        return status
    current = publication.status(depot.store, status.role)
    if current is not None:
        return current
    return SigningStatus(
        status.role, status.version, status.signatures, status.threshold, 0, True, status.key_ids, None
    )


# -- files that carry a change -------------------------------------------------------------------------------------


def _merge(depot: Depot, path: Path, now: datetime) -> None:
    status = change_file.merge_change(depot.store, files.read_bounded(path, change_file.MAX_BYTES))
    depot.refresh_root()
    record(depot, now, "merge", role=status.role, version=status.version, published=status.published)


def _export(depot: Depot, chosen: tuple[str, ...], path: Path) -> Path:
    pending = [role for role in chosen if depot.store.pending(role) is not None]
    if len(pending) != 1:
        raise UsageError(
            "one change goes into one file",
            expected="a release, `release` or `root`",
            found=", ".join(pending) or "none",
        )
    data = change_file.export_change(depot.store, pending[0], changed_documents(depot, pending[0]))
    files.write_durable(path, data, mode=0o644, replace=False)
    return path


def _sign_file(signers: Sequence[Signer], transfer: Transfer, *, dry_run: bool) -> SignResult:
    """Sign a change file on a machine without a depot."""
    import_, export = transfer.import_, transfer.export
    if import_ is None or (export is None and not dry_run):
        raise UsageError(
            "without a depot, a file is signed", expected="--import FILE --export FILE --key KEY"
        )
    data = files.read_bounded(import_, change_file.MAX_BYTES)
    lines = change_file.change_differences(data)
    releases = parse_releases(change_file.parse(data).documents)
    for release in releases:
        lines += describe_release(release, None)
    if not dry_run and export is not None:
        data = change_file.sign_change(data, signers)
        files.write_durable(export, data, mode=0o644, replace=False)
    signed = to_change(_file_status(change_file.parse(data)), tuple(lines))
    return _result(releases[0] if releases else None, (signed,), (0, 0), None if dry_run else export)


def _file_status(exported: change_file.Change) -> SigningStatus:
    """Return how many signatures the change in a file has, and how many it lacks."""
    quorums = exported.quorums()
    needed = quorums if exported.role == ROOT else quorums[-1:]
    signers = change.signers_of(quorums, exported.pending)
    return SigningStatus(
        role=exported.role,
        version=metadata.version_of(exported.pending),
        signatures=len(signers),
        threshold=max(quorum.threshold for quorum in needed),
        missing=max(quorum.missing(exported.pending) for quorum in needed),
        published=False,
        key_ids=signers,
        waits_for=None,
    )


def _result(
    release: Release | None, changes: tuple[Change, ...], quorum: tuple[int, int], exported: Path | None
) -> SignResult:
    return SignResult(
        release=release.label if release else None,
        digest=release.digest if release else None,
        signatures=changes[0].signatures if changes else quorum[0],
        threshold=changes[0].threshold if changes else quorum[1],
        published=all(item.published for item in changes),
        changes=changes,
        exported=exported,
    )
