"""Rebuild the files of a bundle from its volumes, with as little of airlift as possible: what any reader can do."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from airlift import codec
from airlift.bundle import chunk, manifest, volume
from airlift.bundle.manifest import Bundle

PIECE = 1 << 20


def load_bundle(folder: Path) -> Bundle:
    """Return the manifest of the bundle that this volume belongs to."""
    index = volume.parse_index((folder / volume.INDEX).read_bytes())
    return manifest.parse((folder / volume.MANIFESTS / volume.manifest_name(index.manifest)).read_bytes())


def rebuild(folders: Sequence[Path], base: Callable[[str], bytes]) -> dict[str, bytes]:
    """Return every file of the bundle by SHA-512, decoded and checked; ``base`` gives a baseline file's bytes."""
    bundle = load_bundle(folders[0])
    chunks = {path.name: path for folder in folders for path in (folder / volume.CHUNKS).iterdir()}
    parts = [bytearray() for _ in bundle.files]
    for item in bundle.chunks:
        data = chunks[volume.chunk_name(item.sha512)].read_bytes()
        assert hashlib.sha512(data).hexdigest() == item.sha512
        for block in chunk.parse(data, bundle):
            assert block.start == len(parts[block.file]), "blocks are in order"
            assert not any(parts[block.file + 1 :]), "files are in order"
            parts[block.file] += _decode(block, bundle, base, parts)
    for entry, part in zip(bundle.files, parts, strict=True):
        assert (hashlib.sha512(part).hexdigest(), len(part)) == (entry.sha512, entry.size)
    return {entry.sha512: bytes(part) for entry, part in zip(bundle.files, parts, strict=True)}


def _decode(
    block: chunk.Block, bundle: Bundle, base: Callable[[str], bytes], built: Sequence[bytearray]
) -> bytes:
    ranges = []
    for source in block.sources:
        number = source.base - chunk.BUILT
        data = built[number] if number >= 0 else base(bundle.bases[source.base].sha512)
        ranges.append(bytes(data[source.start : source.start + source.length]))
    if block.length > chunk.MAX_BLOCK_BYTES:
        assert not block.payload
        return ranges[0]
    return bytes(codec.decode(block.codec, block.payload, ranges, block.length, block.element))
