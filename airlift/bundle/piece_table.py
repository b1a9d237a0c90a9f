"""The table of pieces: digests of what large files consist of, piece by piece (SPEC 5.8).

The SHA-512 of a file is one chain, and says only that something is wrong. Content of more than 16 MiB is digested in
pieces as well, so that several threads can do it, and what is damaged has a place. The release manifest names the
table by its SHA-512; how long it is follows from the manifest.
"""

import hashlib
from collections.abc import Mapping
from itertools import pairwise

from airlift.bundle import release as releases
from airlift.bundle.release import MAX_TABLE_BYTES, Release
from airlift.errors import DigestError

DIGEST_BYTES = 64


def count(size: int) -> int:
    """Return how many pieces content of ``size`` bytes consists of; 0 if it is too small to have any."""
    return -(-size // releases.PIECE_BYTES) if size > releases.PIECE_BYTES else 0


def length(release: Release) -> int:
    """Return how long the table of a release is, in bytes."""
    return DIGEST_BYTES * sum(map(count, release.large_contents().values()))


def can_have(release: Release) -> bool:
    """Say whether a release may have a table: it has large content, and not too much of it."""
    return 0 < length(release) <= MAX_TABLE_BYTES


def format(release: Release, pieces: Mapping[str, bytes]) -> bytes:  # noqa: A001 - the pair of parse, as everywhere
    """Return the table of a release; ``pieces`` has the SHA-512 of pieces, joined, by the content's SHA-512 (hex)."""
    return b"".join(pieces[sha512] for sha512 in release.large_contents())


def parse(data: bytes, release: Release) -> dict[str, bytes]:
    """Return the SHA-512 of the pieces of each large content, joined, by its SHA-512 (hex).

    Raises:
        DigestError: it is not the table that the release names.
    """
    contents = release.large_contents()
    ends = [0]
    for size in contents.values():
        ends.append(ends[-1] + DIGEST_BYTES * count(size))
    if len(data) != ends[-1] or hashlib.sha512(data).hexdigest() != release.pieces:
        raise DigestError(
            f"the table of pieces is not the one that release {release.label} names",
            expected=f"{ends[-1]} bytes, SHA-512 {str(release.pieces)[:16]}...",
            found=f"{len(data)} bytes, SHA-512 {hashlib.sha512(data).hexdigest()[:16]}...",
        )
    return {sha512: data[start:end] for sha512, (start, end) in zip(contents, pairwise(ends), strict=True)}
