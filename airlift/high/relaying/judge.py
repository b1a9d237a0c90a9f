"""Verify bundles that are to be handed on, and judge them, all before a chunk is read (SPEC 7.12-3, 7.12-5)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from airlift.bundle import manifest
from airlift.errors import ExpiredError, OvertakenError, RefusedError
from airlift.high.enclave import policy, revoked
from airlift.high.enclave.enclave import Enclave
from airlift.high.governance import revocation
from airlift.high.verification.verified import VerifiedBundle
from airlift.high.verification.verify_bundle import KeepRoot, verify_foreign
from airlift.ledger.state import State
from airlift.media.volume_reader import Volume, read_volumes
from airlift.policy.document import SubEnclave
from airlift.policy.objections import relay_rulings, revocation_rulings
from airlift.policy.revocation import Revoked
from airlift.policy.ruling import AGE, Ruling, refusals
from airlift.trust.tuf.metadata import TIMESTAMP
from airlift.trust.tuf.trusted_metadata import TrustedMetadata

OUTSTANDING, INVENTORY = "outstanding", "inventory"


@dataclass(frozen=True, slots=True)
class Looked:
    """A bundle that was looked at, and what each rule says of it.

    ``verified`` is None if its verification was refused already.
    """

    name: str
    volumes: tuple[Volume, ...]
    verified: VerifiedBundle | None
    rulings: tuple[Ruling, ...] = ()

    def insist(self) -> VerifiedBundle:
        """Return what was verified, if nothing stands against handing it on.

        Raises:
            RefusedError: something does: the first of it, with all of it in ``data``.
        """
        refused = refusals(self.rulings)
        if refused:
            refused[0].data["refused"] = self.told()
            raise refused[0]
        if self.verified is None:
            raise ValueError("a bundle that was not verified was refused")
        return self.verified

    def told(self) -> list[dict[str, Any]]:
        """Return the rules that are not met, for people and scripts."""
        return [{"bundle": self.name, **item.to_json()} for item in self.rulings if not item.met]


@dataclass(frozen=True, slots=True)
class Viewer:
    """By what bundles are looked at: an enclave's ``state``, and a time (aware, UTC)."""

    enclave: Enclave
    state: State
    now: datetime
    keep_roots: bool

    @property
    def keep_root(self) -> KeepRoot:
        """What is told of newly verified roots: they are kept at once, but by a dry run."""
        return self.enclave.keep_root if self.keep_roots else lambda _version, _data: None


def look_at(viewer: Viewer, sets: Sequence[Sequence[Path]], to: Sequence[SubEnclave]) -> list[Looked]:
    """Return what is to be said of handing on bundles, each a set of volumes, to one of ``to``.

    What one of them tells of revocations and withdrawals counts for all.

    Raises:
        ProvenBadError: a bundle is not what was signed: exit 3.
        UncheckedError: unreadable, or a newer format: exit 7.
    """
    seen = [_verify(viewer, paths) for paths in sets]
    found = [item.verified for item in seen if item.verified is not None]
    newest, known = _newest(found), _revoked(viewer, found)
    rules = policy.load(viewer.enclave, viewer.state)
    return [
        replace(
            item,
            rulings=(
                *relay_rulings(item.verified.bundle, item.verified.release, rules, to),
                *_outstanding(item.verified, newest),
                *_revocation(item.verified, known),
            ),
        )
        if item.verified is not None
        else item
        for item in seen
    ]


def _verify(viewer: Viewer, paths: Sequence[Path]) -> Looked:
    """Verify one bundle; what is refused for want of fresh, current metadata becomes a ruling."""
    volumes = read_volumes(paths)
    name = volumes[0].index.bundle
    try:
        verified = verify_foreign(
            viewer.enclave, volumes, viewer.state, viewer.now, keep_root=viewer.keep_root
        )
    except RefusedError as error:
        return Looked(name, volumes, None, (Ruling.against(_rule(error), f"bundle {name}", error),))
    return Looked(name, volumes, verified)


def _rule(error: RefusedError) -> str:
    if isinstance(error, OvertakenError):
        return OUTSTANDING
    return AGE if isinstance(error, ExpiredError) else INVENTORY


def _newest(found: Sequence[VerifiedBundle]) -> TrustedMetadata | None:
    """Return the newest metadata that is trusted after looking at all of these."""
    trusted = [item.trusted for item in found if item.trusted is not None]
    return max(trusted, key=lambda item: item.versions[TIMESTAMP], default=None)


def _outstanding(verified: VerifiedBundle, newest: TrustedMetadata | None) -> Iterator[Ruling]:
    bundle, expected = verified.bundle, "an outstanding bundle"
    listed = newest is not None and newest.target(manifest.target_name(verified.digest)) is not None
    refusal = None
    if not listed:
        message = "the bundle was withdrawn: newer metadata that is kept here does not list it"
        refusal = OvertakenError(message, expected=expected, found=bundle.id)
    yield Ruling(OUTSTANDING, f"bundle {bundle.id}", expected, bundle.id, refusal)


def _revoked(viewer: Viewer, found: Sequence[VerifiedBundle]) -> Revoked:
    brought = [item for verified in found for item in revocation.brought_by(verified)[1]]
    roots = {
        version: data
        for verified in found
        if verified.trusted is not None
        for version, data in verified.trusted.roots.items()
    }
    return revoked.in_force(viewer.enclave, viewer.state, brought, roots)


def _revocation(verified: VerifiedBundle, known: Revoked) -> list[Ruling]:
    release = verified.release
    return [] if release is None else revocation_rulings(release, revoked.findings(known, release))
