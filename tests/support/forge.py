"""What somebody with the bundler's key can make: bundles that say anything, listed and signed as they should be."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airlift.bundle import chunk, manifest, revocations, volume
from airlift.bundle.chunk import Block
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import Bundle
from airlift.bundle.revocations import Revocation
from airlift.low.bundle.chunks import write_chunks
from airlift.low.depot import revoked
from airlift.media import volume_writer
from airlift.media.volume_writer import SmallFiles
from airlift.policy.revocation import Revoked
from airlift.strict import format as canonical
from airlift.trust.tuf import bundling, metadata, roles, targets
from airlift.trust.tuf import change as tuf_change
from airlift.trust.tuf.metadata import ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from airlift.trust.tuf.metadata_store import encode
from airlift.trust.tuf.roles import BUNDLER
from tests.support import keys
from tests.support.depots import BUNDLER as MACHINE
from tests.support.depots import NOW, RELEASERS, Site
from tests.support.enclaves import overwrite, reseal


def describe(
    site: Site, label: str, files: Sequence[bytes] = (), bases: Sequence[bytes] = (), **more: Any
) -> Bundle:
    """Return the manifest of the next bundle of a release that rebuilds these files; keywords override."""
    found = {reference.label: reference for reference in site.depot.releases()}
    release = site.depot.load_release(label)
    listed = targets.listed(site.depot.store.published(TARGETS), TARGETS)
    made = Bundle(
        sequence=bundling.sequence_of(site.depot.store) + 1,
        issued="2026-11-21T12:00:00Z",
        enclave=None,
        marking=release.marking,
        target=found[label],
        baseline=found["assistant@1"] if bases else None,
        bases=tuple(digest(data) for data in bases),
        files=tuple(digest(data) for data in files),
        chunks=(),
        revocations=listed[revocations.TARGET].sha512,
    )
    return replace(made, **more)


def digest(data: bytes) -> FileDigest:
    """Return SHA-512 and size."""
    return FileDigest(hashlib.sha512(data).hexdigest(), len(data))


def publish(
    site: Site,
    made: Bundle,
    packed: Sequence[bytes],
    folder: Path,
    *,
    now: datetime = NOW,
    documents: Sequence[bytes] | None = None,
    listed_as: int | None = None,
) -> list[Path]:
    """List and sign ``made`` with the chunks ``packed``, and write it as one volume; return its folder."""
    depot = site.depot
    (folder / volume.CHUNKS).mkdir(parents=True, exist_ok=True)
    written = write_chunks(((data,) for data in packed), folder / volume.CHUNKS)
    made = replace(made, chunks=made.chunks or tuple(item.digest for item in written))
    data = manifest.format(made)
    signer = keys.signer(MACHINE)
    bundling.publish_bundle(
        depot.store,
        targets.describe(manifest.target_name(made.digest), BUNDLER, data, {}),
        listed_as or made.sequence,
        signer,
        now,
    )
    if documents is None:
        documents = [depot.documents.load(made.revocations)]
        documents += [depot.documents.load(made.target.digest)] if made.target else []
        pieces = depot.load_release(made.target.digest).pieces if made.target else None
        documents += [depot.documents.load(pieces)] if pieces else []
    named = {volume.manifest_name(digest(text).sha512): text for text in (data, *documents)}
    carried = SmallFiles(bundling.volume_files(depot.store), named)
    share = frozenset(item.digest.sha512 for item in written)
    return volume_writer.write_volumes(made, [share], carried, written, folder)


def relist(site: Site, made: Bundle, sequence: int, folder: Path) -> list[Path]:
    """Publish a bundle whose manifest says an old sequence number, in metadata that says a new one."""
    return publish(site, replace(made, sequence=sequence), (), folder, listed_as=made.sequence + 1)


def packed(*blocks: Block) -> list[bytes]:
    """Return one chunk of these blocks."""
    return [chunk.format(blocks)]


def raw(file: int, start: int, data: bytes) -> Block:
    """Return a block that carries its bytes."""
    return Block(file, start, len(data), 0, 0, (), data)


def revoke(site: Site, *entries: Revocation, now: datetime = NOW) -> None:
    """Publish this list, whatever it lacks of the one before: signed by members who heed no rule of SPEC 4.3."""
    store, data = site.depot.store, revocations.format(tuple(sorted(entries)))
    site.depot.documents.keep(data)
    base, target = store.published(TARGETS), targets.describe(revocations.TARGET, TARGETS, data, {})
    version = metadata.version_of(base) + 1
    made = tuf_change.with_target(
        base, version, target, roles.expiry_days(store.published(ROOT), TARGETS), now
    )
    for name in RELEASERS[:2]:
        made = roles.sign(made, keys.signer(name))
    store.write({metadata.file_name(TARGETS, version): encode(TARGETS, made)})


@contextmanager
def heedless() -> Iterator[None]:
    """Let the low side overlook what is revoked meanwhile, as an older airlift does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(revoked, "in_force", lambda _depot: Revoked())
        yield


def restate(folder: Path, role: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what the metadata of a role on a volume says, and sign it, and whatever names it, anew."""
    made: dict[str, dict[str, Any]] = {}
    for name in (BUNDLER, TARGETS, SNAPSHOT, TIMESTAMP):
        (old,) = (folder / volume.METADATA).glob("timestamp.json" if name == TIMESTAMP else f"*.{name}.json")
        signed = json.loads(old.read_bytes())["signed"]
        signed |= {"meta": {key: made[key] for key in signed["meta"]}} if "meta" in signed else {}
        if name == role:
            change(signed)
        document: dict[str, Any] = {"signatures": [], "signed": signed}
        for signer in RELEASERS[:2] if name == TARGETS else (MACHINE,):
            document = dict(roles.sign(document, keys.signer(signer)))
        data = canonical(document)
        old.unlink()
        version = "" if name == TIMESTAMP else f"{signed['version']}."
        overwrite(folder / volume.METADATA / f"{version}{name}.json", data)
        content = targets.describe(name, name, data, {})
        made[f"{name}.json"] = {
            "version": signed["version"],
            "length": content.length,
            "hashes": {"sha512": content.sha512},
        }
    reseal(folder)
