"""Which digest a file is verified with: the SHA-512 that names it, or SHA-256 if policy says so (SPEC 7.3-5).

The SHA-256 is the one that signed release manifests state of the same content. Where none states it, or two state
different ones, the SHA-512 decides: of each piece, where manifests state those, else of the whole (SPEC 7.3-8).
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from airlift import files
from airlift.bundle import piece_table
from airlift.bundle import release as releases
from airlift.bundle.fields import FileDigest
from airlift.bundle.release import Release
from airlift.errors import MalformedError
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave
from airlift.ledger.entries.imports import SHA256, SHA512
from airlift.ledger.state import State
from airlift.store.content import CountBytes, digest_file

NOT_CNSA = "files are verified with SHA-256, which is not a CNSA 2.0 algorithm"

NONE = b""
"""Stands for pieces that a manifest does not state."""

Range = tuple[int, int]
"""Bytes ``[start, end)`` of a file."""

_STATED = b'"pieces":'
"""What stands in a manifest that states pieces, and in no other: within a text its quotes are escaped."""


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes ``[start, end)`` of a content that have a digest of their own, and which (hex)."""

    start: int
    end: int
    algorithm: str
    digest: str


@dataclass(frozen=True, slots=True)
class Expected:
    """The digests that files must have; ``algorithm`` names the one that policy asks for.

    ``sha256`` maps the SHA-512 (hex) of contents to their SHA-256 (hex); it is empty where policy asks for SHA-512.
    ``pieces`` maps it to the SHA-512 of their pieces, joined, where these decide.
    """

    algorithm: str = SHA512
    sha256: Mapping[str, str] = field(default_factory=dict)
    pieces: Mapping[str, bytes] = field(default_factory=dict)

    def of(self, sha512: str) -> tuple[str, str]:
        """Return the algorithm by which the content named ``sha512`` is verified, and the digest (hex) due."""
        stated = self.sha256.get(sha512)
        return (SHA512, sha512) if stated is None else (SHA256, stated)

    def fits(self, path: Path, sha512: str, read: CountBytes = lambda _count: None) -> bool:
        """Say whether a file at rest is the content named ``sha512``; ``read`` counts its bytes, all are read."""
        with files.reading(path):
            content = FileDigest(sha512, path.stat().st_size)
        if self._pieces(content) is None:
            algorithm, digest = self.of(sha512)
            return digest_file(path, algorithm, read) == digest
        parts = together(self.parts(content))
        return not [bad for some in parts for bad in damage(path, some, content.size, read)]

    def parts(self, content: FileDigest, start: int = 0, end: int | None = None) -> Iterator[Part]:
        """Yield the parts of a content that have digests of their own, in order; those alone that meet a range.

        That is all of it, unless pieces decide. The last one ends where the content does.
        """
        last = content.size if end is None else min(end, content.size)
        pieces = self._pieces(content)
        if pieces is None:
            yield Part(0, content.size, *self.of(content.sha512))
            return
        for number in range(start // releases.PIECE_BYTES, len(pieces) // piece_table.DIGEST_BYTES):
            if number * releases.PIECE_BYTES >= last:
                return
            yield self.part(content, number)

    def part(self, content: FileDigest, number: int) -> Part:
        """Return the part of a content with this number; see :meth:`parts`."""
        pieces = self._pieces(content)
        if pieces is None:
            return Part(0, content.size, *self.of(content.sha512))
        at = number * piece_table.DIGEST_BYTES
        start, digest = number * releases.PIECE_BYTES, pieces[at : at + piece_table.DIGEST_BYTES]
        end = content.size if at + len(digest) == len(pieces) else start + releases.PIECE_BYTES
        return Part(start, end, SHA512, digest.hex())

    def part_bytes(self, content: FileDigest) -> int:
        """Return how long the parts of a content are, but for the last one."""
        return releases.PIECE_BYTES if self._pieces(content) is not None else max(content.size, 1)

    def _pieces(self, content: FileDigest) -> bytes | None:
        """Return the SHA-512 of the pieces of a content, joined; None if they are unknown, or of another size."""
        pieces = self.pieces.get(content.sha512)
        same = pieces and len(pieces) == piece_table.DIGEST_BYTES * piece_table.count(content.size)
        return pieces if same else None


def together(parts: Iterable[Part]) -> Iterator[tuple[Part, ...]]:
    """Yield parts in order, so many at once as are best digested at once: those have one length."""
    held: list[Part] = []
    for part in parts:
        if held and (part.end - part.start != held[0].end - held[0].start or len(held) == _width()):
            yield tuple(held)
            held = []
        held.append(part)
    if held:
        yield tuple(held)


def _width() -> int:
    from airlift import digests  # noqa: PLC0415 - only what has pieces needs it

    return digests.width()


def damage(
    path: Path, parts: Sequence[Part], size: int, read: CountBytes = lambda _count: None
) -> tuple[Range, ...]:
    """Return the bytes of parts of a file at rest that are not what they should be, or that should not be there.

    The parts are in order, and of one length. The file should have ``size`` bytes; ``read`` counts those that were
    read.

    Raises:
        UncheckedError: it cannot be read.
    """
    with files.opened(path) as descriptor, files.reading(path):
        if len(parts) > 1 and _are_right(descriptor, parts, read):
            found = []
        else:  # and which of them is wrong, OpenSSL says
            counting = read if len(parts) == 1 else _silently
            found = [(part.start, part.end) for part in parts if not _is_right(descriptor, part, counting)]
        there = os.fstat(descriptor).st_size
    if parts[-1].end == size < there:
        found.append((size, there))
    return tuple(found)


def _is_right(descriptor: int, part: Part, read: CountBytes) -> bool:
    """Digest a part of an open file; say whether it is there, and what it should be."""
    running, at = hashlib.new(part.algorithm), part.start
    buffer = memoryview(bytearray(min(files.COPY_BYTES, part.end - part.start)))
    while at < part.end:
        count = files.read_into(descriptor, at, buffer[: min(len(buffer), part.end - at)])
        if not count:
            return False
        running.update(buffer[:count])
        at += count
        read(count)
    return running.hexdigest() == part.digest


def _are_right(descriptor: int, parts: Sequence[Part], read: CountBytes) -> bool:
    """Digest parts of one length side by side; say whether all are there, and what they should be."""
    from airlift import digests  # noqa: PLC0415 - only what has pieces needs it

    running, length, at = digests.start(len(parts)), parts[0].end - parts[0].start, 0
    buffers = [memoryview(bytearray(min(files.COPY_BYTES, length))) for _ in parts]
    while at < length:
        filled = [buffer[: length - at] for buffer in buffers]
        for part, buffer in zip(parts, filled, strict=True):
            if files.read_into(descriptor, part.start + at, buffer) < len(buffer):
                return False
            read(len(buffer))
        running.feed(filled)
        at += len(filled[0])
    return running.finish() == [part.digest for part in parts]


def _silently(_count: int) -> None:
    """Count nothing."""


def load_expected(
    enclave: Enclave,
    state: State,
    target: Release | None = None,
    documents: Mapping[str, bytes] | None = None,
) -> Expected:
    """Return the digests that policy asks for: of content at rest, and of the ``target`` that is to be rebuilt.

    ``documents`` maps SHA-512 to what came with the target: its table of pieces, if it has one.

    Raises:
        LedgerError: policy, or a document of an installed release, is not what the ledger recorded.
        MalformedError: ``target`` contradicts an installed release.
    """
    if policy.load(enclave, state).digest == SHA512:
        return Expected(pieces=_load_pieces(enclave, state, target, documents or {}))
    installed = [enclave.load_release(digest) for digest in state.installed]
    found = stated([*installed, target] if target else installed)
    if target and not target.contents().keys() <= found.keys():
        raise MalformedError(
            "release manifest: an installed release states another SHA-256 of the same content"
        )
    return Expected(SHA256, found)


def _load_pieces(
    enclave: Enclave, state: State, target: Release | None, documents: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Return the SHA-512 of pieces, joined, by that of the content, where all manifests that list it agree on them.

    A manifest that states none agrees with nobody: what it lists is what its SHA-512 says (SPEC 7.3-8).
    """
    manifests = [enclave.history.load(digest) for digest in state.installed]
    if not any(_STATED in data for data in manifests) and (target is None or not target.pieces):
        return {}  # and no manifest need be parsed
    found: dict[str, set[bytes]] = {}
    for release in map(releases.parse, manifests):
        if release.pieces:
            table = enclave.history.load(release.pieces, piece_table.length(release))
            for sha512, pieces in piece_table.parse(table, release).items():
                found.setdefault(sha512, set()).add(pieces)
        else:
            _state_none(found, release)
    if target is not None and target.pieces:
        table = documents.get(target.pieces) or enclave.history.load(
            target.pieces, piece_table.length(target)
        )
        for sha512, pieces in piece_table.parse(table, target).items():
            if found.setdefault(sha512, {pieces}) - {pieces, NONE}:
                raise MalformedError(
                    "table of pieces: an installed release states other pieces of the same content",
                    expected=f"those of SHA-512 {sha512[:16]}... that are known here",
                )
    elif target is not None:
        _state_none(found, target)
    return {
        sha512: min(stated) for sha512, stated in found.items() if len(stated) == 1 and NONE not in stated
    }


def _state_none(found: dict[str, set[bytes]], release: Release) -> None:
    """Take note that a release states no pieces of its large content."""
    for sha512 in release.large_contents():
        found.setdefault(sha512, set()).add(NONE)


def stated(manifests: Iterable[Release]) -> dict[str, str]:
    """Return the SHA-256 of contents by SHA-512; content for which manifests state different ones is left out."""
    found: dict[str, set[str]] = {}
    for release in manifests:
        for _, entry in release.files():
            found.setdefault(entry.sha512, set()).add(entry.sha256)
    return {sha512: min(digests) for sha512, digests in found.items() if len(digests) == 1}
