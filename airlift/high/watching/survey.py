"""Survey a volume that rests: what the reader of volumes says of it by itself (SPEC 7.13-3). Nothing is proven."""

import hashlib
from dataclasses import replace
from pathlib import Path

from airlift.bundle import volume
from airlift.errors import AirliftError, StalledError, UncheckedError, UsageError
from airlift.high.watching.sights import Claim, Fault, Known
from airlift.media.volume_reader import Volume, read_volumes


def survey(folder: Path, known: Known, now: float) -> Known:
    """Return what is known of a volume after the reader read all of it but its chunks.

    Raises:
        StalledError: the medium does not answer.
        UsageError: the environment's limit for that is none.
    """
    place = folder / known.sight.name
    try:
        found = read_volumes([place])[0]
        if found.folder != place:
            raise UncheckedError(f"{place} is no volume any more")
    except (StalledError, UsageError):
        raise
    except AirliftError as error:
        return replace(known, fault=Fault.of(error), claim=None, surveyed=now)
    return replace(known, claim=_claim(found), fault=None, surveyed=now)


def _claim(found: Volume) -> Claim:
    index = found.index
    counted = (len(found.sums), sum(found.chunks.values()))
    return Claim(
        bundle=index.bundle,
        manifest=index.manifest,
        key=_key(found),
        volume=index.volume,
        volumes=index.volumes,
        whole=set(found.chunks) == set(found.sums) and counted == (index.chunks, index.chunk_bytes),
    )


def _key(found: Volume) -> str:
    """Return hex digits that are equal for volumes of one bundle that carry the same files (SPEC 6.4-4)."""
    own = {volume.LABEL, volume.INDEX, volume.SUMS}
    digest = hashlib.sha512(found.index.manifest.encode())
    for path in sorted(set(found.small) - own):
        digest.update(path.encode() + b"\0" + hashlib.sha512(found.small[path]).digest())
    return digest.hexdigest()[:64]
