"""Init: make a depot with its first root and its release authority (SPEC L1.4).

Built beside the place where it will stand, and renamed there: a failure leaves nothing behind.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from airlift import files
from airlift.bundle import revocations
from airlift.low.authority import members
from airlift.low.authority.members import Holder, NamedRole
from airlift.low.authority.pending import pending_roles
from airlift.low.authority.sign import sign_roles
from airlift.low.depot.depot import Depot, create_depot, mark_depot
from airlift.low.depot.events import record
from airlift.store.whole_folders import building, check_free
from airlift.trust.keys.public import Passphrase
from airlift.trust.tuf import proposal, root
from airlift.trust.tuf.metadata import ROOT, TARGETS
from airlift.trust.tuf.metadata_store import encode
from airlift.trust.tuf.roles import RoleKeys


@dataclass(frozen=True, slots=True)
class InitResult:
    """The new depot; ``root`` is what enclaves pin, written once root is published.

    ``fingerprint`` (SHA-384, hex) is what people compare out of band; None in a dry run. ``pending`` names the roles
    that still lack signatures.
    """

    depot: Path
    root: Path
    fingerprint: str | None
    pending: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Authorities:
    """Who is to sign what in a new depot, and for how many days its metadata is valid, by role."""

    root: NamedRole
    release: NamedRole
    bundler: str | Path
    expires: Mapping[str, int] = field(default_factory=dict)

    def keys(self) -> Sequence[str | Path]:
        """Return every key that was named."""
        return [*self.root.keys, *self.release.keys, self.bundler]


@dataclass(frozen=True, slots=True)
class _Roles:
    """The same with its members loaded."""

    root: RoleKeys
    release: RoleKeys
    bundler: RoleKeys
    expires: Mapping[str, int]


def init(
    folder: Path,
    authorities: Authorities,
    *,
    passphrase: Passphrase | None = None,
    now: datetime,
    dry_run: bool = False,
) -> InitResult:
    """Make a depot in ``folder``, which is empty or does not exist; sign with every private key that was named.

    Raises:
        ExistsError: the folder is not empty.
        UsageError: thresholds, keys or expiries make no sense.
        KeyUnavailableError: a key cannot be used.
    """
    check_free(folder, "choose a folder that is empty or does not exist")
    holders = members.load(authorities.keys(), passphrase)
    roles = _Roles(
        root=members.to_role(authorities.root, holders),
        release=members.to_role(authorities.release, holders),
        bundler=members.to_role(NamedRole([authorities.bundler], 1), holders),
        expires=authorities.expires,
    )
    if dry_run:
        with tempfile.TemporaryDirectory(prefix="airlift-") as scratch:
            _create(Depot(Path(scratch)), roles, now)
        return InitResult(folder, folder / "root.json", None, ())
    with building(folder.absolute(), locked=True) as temporary:
        fingerprint, pending = _build(temporary, roles, authorities, holders, now)
    return InitResult(folder, folder / "root.json", fingerprint, pending)


def _build(
    folder: Path,
    roles: _Roles,
    authorities: Authorities,
    holders: Mapping[str, Holder],
    now: datetime,
) -> tuple[str, tuple[str, ...]]:
    """Make the whole depot in ``folder``; return the fingerprint of its root, and the roles still pending."""
    depot = create_depot(folder)
    _create(depot, roles, now)
    first = depot.store.pending(ROOT) or depot.store.published(ROOT)
    fingerprint = root.fingerprint(encode(ROOT, first))
    for role, named in ((ROOT, authorities.root), (TARGETS, authorities.release)):
        if role in pending_roles(depot):
            sign_roles(depot, (role,), members.signers(named.keys, holders), now)
    pending = tuple("release" if role == TARGETS else role for role in pending_roles(depot))
    record(depot, now, "init", fingerprint=fingerprint, pending=list(pending))
    mark_depot(depot)
    return fingerprint, pending


def _create(depot: Depot, roles: _Roles, now: datetime) -> None:
    """Keep the first, empty list of revocations, and propose root and targets version 1."""
    empty = revocations.format(())
    files.make_folder(depot.documents.folder)
    depot.documents.keep(empty)
    proposal.create(
        depot.store,
        root=roles.root,
        release=roles.release,
        bundler=roles.bundler,
        expires=roles.expires,
        now=now,
        revocations=empty,
    )
