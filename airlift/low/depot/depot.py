"""The depot: the low side's working repository on disk (SPEC 11).

::

    depot.json          format marker
    lock                held by the one command that changes the depot
    root.json           the newest published root: what an enclave pins
    metadata/ pending/  TUF metadata, and changes that still collect signatures (airlift.trust)
    releases.json       names of releases and the digests of their manifests
    documents/<64 hex>.json           release manifests, bundle manifests, revocation lists, by digest
    content/<2 hex>/<128 hex>         files of components, read-only, by digest
    fetched/            what was fetched and is in no release yet
    attestations.json   which attestations are about which release
    policy.json         what a release must carry before it is bundled, if the depot has a policy
    verified.json       when the digest of content was last computed and right
    enclaves/<name>.json              the public key of its ledger, and what it acknowledged
    scans/              trees of releases while scanners look at them
    log.jsonl           what was done, one JSON object per line

Everything here is derived from files at the moment it is asked for; nothing is cached.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from airlift import files, strict
from airlift.bundle import fields, release
from airlift.bundle.manifest import ReleaseRef
from airlift.bundle.release import Release
from airlift.errors import DigestError, NotHeldError, UncheckedError, UsageError
from airlift.store import release_lookup, whole_folders
from airlift.store.content import ContentFolder
from airlift.store.documents import DocumentFolder
from airlift.store.whole_folders import Place
from airlift.trust.tuf import publication, targets
from airlift.trust.tuf.metadata import MAX_BYTES, ROOT, TARGETS, version_of
from airlift.trust.tuf.metadata_store import MetadataStore

MARKER = "depot.json"
MAX_RELEASES = 1 << 20
MAX_INDEX_BYTES = 256 << 20

_MARKER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Depot:
    """A depot's folder and the places in it."""

    folder: Path

    enclaves = Place("enclaves")
    """The folder of records of enclaves."""
    root = Place("root.json")
    """The newest published root."""
    fetched = Place("fetched")
    """The folder of what was fetched, whole and in part."""
    scans = Place("scans")
    """The folder of releases that are laid out for scanners."""
    log = Place("log.jsonl")
    """What was done."""

    @property
    def store(self) -> MetadataStore:
        """The TUF metadata, published and pending."""
        return MetadataStore(self.folder, self.documents.load)

    @property
    def content(self) -> ContentFolder:
        """Files of components, by digest."""
        return ContentFolder(self.folder / "content")

    @property
    def documents(self) -> DocumentFolder:
        """Manifests, revocation lists, attestations and vendors' signatures, by digest."""
        return DocumentFolder(self.folder / "documents", _changed)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the depot for one command that changes it; sweep and finish first what an interrupted one left behind.

        Raises:
            BusyError: another command holds it.
        """
        with files.lock(self.folder / whole_folders.LOCK):
            for folder in (self.folder, self.content.folder, self.documents.folder, self.enclaves):
                files.remove_temporary(folder)
            publication.settle(self.store)
            self.refresh_root()
            yield

    def refresh_root(self) -> None:
        """Make root.json the newest published root."""
        newest = self.store.newest(ROOT)
        if newest is None:
            return
        data = self.store.raw(ROOT, version_of(newest))
        if not self.root.exists() or files.read_bounded(self.root, MAX_BYTES[ROOT]) != data:
            files.write_durable(self.root, data, mode=0o644)

    def repair_hint(self, sha512: str) -> str:
        """Return what to do about content that is missing or has changed."""
        path = self.content.path(sha512)
        return f"remove {path} and release again from good files, or restore the depot from a backup"

    # -- releases --------------------------------------------------------------------------------------------------

    def releases(self) -> tuple[ReleaseRef, ...]:
        """Return every release that was gathered here, oldest first, published or not."""
        what = "releases.json"
        data = files.read_bounded(self.folder / what, MAX_INDEX_BYTES)
        document = fields.check_header(
            strict.parse(data, limit=MAX_INDEX_BYTES, what=what),
            "depot-releases",
            frozenset({"releases"}),
            what,
        )
        return tuple(
            ReleaseRef.from_json(item, what) for item in strict.member(document, "releases", list, what)
        )

    def write_releases(self, releases: tuple[ReleaseRef, ...]) -> None:
        """Write the index of releases."""
        if len(releases) > MAX_RELEASES:
            raise UsageError("the depot has too many releases", expected=f"at most {MAX_RELEASES}")
        document = {
            "airlift": fields.FORMAT,
            "type": "depot-releases",
            "releases": [r.to_json() for r in releases],
        }
        files.write_durable(self.folder / "releases.json", strict.format(document), mode=0o644)

    def find_release(self, name: str) -> ReleaseRef:
        """Return the release that ``name@version``, a digest, or a prefix of one (12 hex digits or more) names.

        Raises:
            NotHeldError: there is none.
            UsageError: the prefix fits several.
        """
        found = release_lookup.find(name, self.releases())
        if len(found) > 1:
            raise UsageError(f"{name} fits several releases", found=", ".join(r.label for r in found[:4]))
        if not found:
            raise NotHeldError(
                f"the depot has no release {name!a}",
                expected="name@version, or at least 12 hex digits of its digest",
                hint="see what there is: `airlift low list`",
            )
        return found[0]

    def load_release(self, name: str) -> Release:
        """Return the manifest of the release that ``name`` names; see :meth:`find_release`."""
        return release.parse(self.documents.load(self.find_release(name).digest))

    def is_published(self, digest: str) -> bool:
        """Say whether the release authority has signed this release."""
        published = self.store.newest(TARGETS)
        return published is not None and release.target_name(digest) in targets.listed(published, TARGETS)


def create_depot(folder: Path) -> Depot:
    """Make the folders and files of an empty depot; the caller has checked that ``folder`` is empty or missing."""
    depot = Depot(folder)
    for place in (depot.content.folder, depot.enclaves, depot.documents.folder):
        files.make_folder(place)
    depot.write_releases(())
    return depot


def mark_depot(depot: Depot) -> None:
    """Write the marker, last of all: a folder without it is no depot."""
    files.write_durable(depot.folder / MARKER, strict.format({"airlift": fields.FORMAT, "type": "depot"}))


def open_depot(folder: Path) -> Depot:
    """Return the depot in ``folder``.

    Raises:
        UncheckedError: there is none.
        FormatTooNewError: a newer airlift made it.
    """
    path = folder / MARKER
    if not path.is_file():
        raise UncheckedError(
            f"{folder} is not a depot",
            expected=f"a folder with {MARKER}",
            hint="make one with `airlift low init`, or say where it is with --depot DIR",
        )
    data = files.read_bounded(path, _MARKER_BYTES)
    what = f"{folder.name}/{MARKER}"
    fields.check_header(strict.parse(data, limit=_MARKER_BYTES, what=what), "depot", frozenset(), what)
    return Depot(folder)


def _changed(path: Path) -> DigestError:
    return DigestError(
        f"document {path.name} of the depot has changed", hint="restore the depot from a backup"
    )
