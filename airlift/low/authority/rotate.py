"""Rotate: change who may sign as root, release authority or bundler (SPEC 4.3)."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from airlift.bundle.fields import is_hex
from airlift.errors import UsageError
from airlift.low.authority import members
from airlift.low.authority.pending import Change
from airlift.low.authority.sign import sign_roles
from airlift.low.depot.depot import Depot
from airlift.low.depot.events import record
from airlift.trust.keys.public import Passphrase, Signer, load_public
from airlift.trust.tuf import proposal, roles
from airlift.trust.tuf.metadata import ROOT, TARGETS, TIMESTAMP
from airlift.trust.tuf.roles import RoleKeys

MIN_PREFIX = 8
_TUF = {"root": ROOT, "release": TARGETS, "bundler": TIMESTAMP}


@dataclass(frozen=True, slots=True)
class Rotation:
    """How the role ``root``, ``release`` or ``bundler`` is to change: other members, another threshold, or both.

    ``add`` are key files; ``remove`` are ``.pub`` files, holders, or the first digits of key ids or fingerprints.
    """

    role: str
    add: Sequence[str | Path] = ()
    remove: Sequence[str] = ()
    threshold: int | None = None


@dataclass(frozen=True, slots=True)
class RotateResult:
    """Members added and removed (by holder), the new threshold, and the changes that need signatures."""

    role: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    threshold: int
    published: bool
    changes: tuple[Change, ...]


def rotate(
    depot: Depot,
    rotation: Rotation,
    *,
    signers: Sequence[Signer] = (),
    now: datetime,
    replace: bool = False,
    dry_run: bool = False,
    passphrase: Passphrase | None = None,
) -> RotateResult:
    """Propose the change of a role, and sign it with ``signers``; ``passphrase`` is that of private keys to add.

    Raises:
        UsageError: the change makes no sense, or a key to remove is not found or fits several members.
        PendingError: another change is pending, and ``replace`` was not said.
        KeyUnavailableError: a signer is no member of a role that must sign.
    """
    role, threshold = rotation.role, rotation.threshold
    if role not in _TUF:
        raise UsageError("unknown role", expected="root, release or bundler", found=ascii(role[:40]))
    if not (rotation.add or rotation.remove or threshold):
        raise UsageError("nothing to change", expected="--add, --remove or a threshold")
    with nullcontext() if dry_run else depot.lock():
        current = roles.of(depot.store.published(ROOT), _TUF[role])
        new = [item.member for item in members.load(rotation.add, passphrase).values()]
        gone = [_find(text, current) for text in rotation.remove]
        changed = members.check_people(current.change(new, gone, threshold))
        if dry_run:
            return _result(role, current, changed, ())
        proposed = proposal.propose_rotation(
            depot.store, role, add=new, remove=gone, threshold=threshold, now=now, replace=replace
        )
        result = _result(role, current, changed, sign_roles(depot, proposed, signers, now))
        _record(depot, now, result)
        return result


def _record(depot: Depot, now: datetime, result: RotateResult) -> None:
    added, removed = list(result.added), list(result.removed)
    record(depot, now, "rotate", role=result.role, added=added, removed=removed, published=result.published)


def _result(role: str, old: RoleKeys, new: RoleKeys, changes: tuple[Change, ...]) -> RotateResult:
    return RotateResult(
        role=role,
        added=tuple(member.holder for member in new.members if member not in old.members),
        removed=tuple(member.holder for member in old.members if member not in new.members),
        threshold=new.threshold,
        published=bool(changes) and all(item.published for item in changes),
        changes=changes,
    )


def _find(text: str, current: RoleKeys) -> str:
    """Return the key id of the member that ``text`` names."""
    if text.endswith(".pub") and Path(text).is_file():
        return load_public(Path(text)).key_id
    is_prefix = len(text) >= MIN_PREFIX and is_hex(text, len(text))
    found = [
        key_id
        for key_id, member in current.by_id().items()
        if member.holder == text
        or (is_prefix and (key_id.startswith(text) or member.key.fingerprint.startswith(text)))
    ]
    if len(found) != 1:
        raise UsageError(
            f"{text} names {'no member' if not found else 'several members'} of the role",
            expected=", ".join(member.holder for member in current.members),
            hint="name a .pub file, a holder, or the first digits of a key id",
        )
    return found[0]
