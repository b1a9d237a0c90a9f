"""The volume: one plain folder per medium, its three text files, its names and its size (SPEC 6.4).

``volume.json`` and ``SHA256SUMS`` are hints and conveniences: parsed strictly, never authoritative. ``LABEL.txt`` is
for people, and must equal its re-rendering from signed data.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airlift import strict
from airlift.bundle import fields
from airlift.bundle.manifest import MAX_SEQUENCE, Bundle, ReleaseRef, is_id
from airlift.bundle.own import Own
from airlift.errors import MalformedError

LABEL, INDEX, SUMS = "LABEL.txt", "volume.json", "SHA256SUMS"
METADATA, MANIFESTS, CHUNKS = "metadata", "manifests", "chunks"
MAX_VOLUMES = 99
CUT_HEX = 8
MAX_SUMS_BYTES = 256 << 20
MAX_INDEX_BYTES = 64 << 10
MAX_LABEL_BYTES = 64 << 10

_INDEX_KEYS = frozenset({"bundle", "manifest", "volume", "volumes", "chunks", "chunk_bytes", "sums"})
_SUM_LINE = re.compile(rb"([0-9a-f]{64})  ([ -~]{1,160})\Z")


@dataclass(frozen=True, slots=True)
class Index:
    """What ``volume.json`` claims: bundle id, SHA-512 of the bundle manifest, place in the set, its share of chunks.

    ``sums`` is the SHA-512 of ``SHA256SUMS``, which lists every file of the volume but itself and ``volume.json``.
    Together with the label, which repeats the numbers, no byte of a volume can flip unnoticed.
    """

    bundle: str
    manifest: str
    volume: int
    volumes: int
    chunks: int
    chunk_bytes: int
    sums: str


def chunk_name(sha512: str) -> str:
    """Return the file name of a chunk: the first 64 hex digits of its SHA-512."""
    return sha512[: fields.NAME_HEX]


def manifest_name(digest: str) -> str:
    """Return the file name in ``manifests/`` of a document with this SHA-512."""
    return f"{digest[: fields.NAME_HEX]}.json"


def folder_name(bundle: Bundle, volume: int, volumes: int, cut: str = "") -> str:
    """Return the name of a volume's folder; ``cut`` is the :func:`cut_mark` of a re-cut, empty for the first cut."""
    name = f"airlift-{bundle.id}-vol{volume:02d}of{volumes:02d}"
    return f"{name}-c{cut}" if cut else name


def cut_mark(shares: Sequence[Sequence[str]]) -> str:
    """Return what tells a re-cut from every other cut: 8 hex digits of which chunks are on which volume (6.8-2).

    ``shares`` are the SHA-512 of the chunks of each volume, in the manifest's order.
    """
    return hashlib.sha512(strict.format([list(share) for share in shares])).hexdigest()[:CUT_HEX]


def format_index(index: Index) -> bytes:
    """Return the bytes of ``volume.json``."""
    return strict.format(
        {
            "airlift": fields.FORMAT,
            "type": "volume",
            "bundle": index.bundle,
            "manifest": index.manifest,
            "volume": index.volume,
            "volumes": index.volumes,
            "chunks": index.chunks,
            "chunk_bytes": index.chunk_bytes,
            "sums": index.sums,
        }
    )


def parse_index(data: bytes) -> Index:
    """Parse ``volume.json``.

    Raises:
        FormatTooNewError: made by a newer airlift.
        MalformedError: anything in it breaks SPEC 6.4.
    """
    what = INDEX
    document = fields.check_header(
        strict.parse(data, limit=MAX_INDEX_BYTES, what=what), "volume", _INDEX_KEYS, what
    )
    bundle: str = strict.member(document, "bundle", str, what)
    if not is_id(bundle) or int(bundle.rsplit("-", 1)[1]) > MAX_SEQUENCE:
        raise MalformedError(f"{what}: 'bundle' is not a bundle id")
    volumes = fields.count(document, "volumes", what, least=1, most=MAX_VOLUMES)
    return Index(
        bundle=bundle,
        manifest=fields.digest(document, "manifest", what),
        volume=fields.count(document, "volume", what, least=1, most=volumes),
        volumes=volumes,
        chunks=fields.count(document, "chunks", what),
        chunk_bytes=fields.count(document, "chunk_bytes", what),
        sums=fields.digest(document, "sums", what),
    )


def format_sums(sums: Mapping[str, str]) -> bytes:
    """Return the bytes of ``SHA256SUMS`` for ``sha256sum -c``: {relative path: SHA-256 hex}, sorted by path."""
    return "".join(f"{sums[path]}  {path}\n" for path in sorted(sums)).encode("ascii")


def parse_sums(data: bytes) -> dict[str, str]:
    """Parse ``SHA256SUMS`` strictly; the inverse of :func:`format_sums`."""
    if len(data) > MAX_SUMS_BYTES or not data.endswith(b"\n"):
        raise MalformedError(f"{SUMS} is too long or truncated")
    sums: dict[str, str] = {}
    for line in data[:-1].split(b"\n"):
        match = _SUM_LINE.match(line)
        if not match:
            raise MalformedError(f"{SUMS} has a line that is not a digest and a path")
        sums[match[2].decode()] = match[1].decode()
    if format_sums(sums) != data:
        raise MalformedError(f"{SUMS} is not sorted or names a path twice")
    return sums


def render_label(bundle: Bundle, volume: int, volumes: int) -> bytes:
    """Return the bytes of ``LABEL.txt``: printable ASCII, one screen, marking first and last."""
    marking = str(bundle.marking)
    target = bundle.target.label if bundle.target else "none (fresh metadata and revocations only)"
    lines = [
        marking,
        "",
        f"airlift bundle {bundle.id}, volume {volume} of {volumes}",
        "",
        *_addressees(bundle),
        f"  sequence      {bundle.sequence}",
        f"  issued        {bundle.issued}",
        f"  target        {target}",
        *([] if bundle.portions else [f"  baseline      {_baseline(bundle.baseline)}"]),
        f"  chunks        {len(bundle.chunks)} in the whole bundle, {sum(c.size for c in bundle.chunks)} bytes",
        *_parity_lines(bundle),
        "",
        "At the scanning station:   sha256sum -c SHA256SUMS",
        "On the high side:          airlift high inspect VOLUME...",
        "                           airlift high import VOLUME... --activate",
        "",
        "This text is for people; only the signed manifests count.",
        "",
        marking,
    ]
    return ("\n".join(lines) + "\n").encode("ascii")


def _addressees(bundle: Bundle) -> list[str]:
    """Return what a label says of whom a bundle is for; of several, each with its baseline."""
    if not bundle.portions:
        return [f"  for enclave   {bundle.enclave or 'any that pinned this root'}"]
    return [f"  for enclave   {item.enclave}, from {_baseline(item.baseline)}" for item in bundle.portions]


def _baseline(reference: ReleaseRef | None) -> str:
    return reference.label if reference else "none (complete)"


def _parity_lines(bundle: Bundle) -> list[str]:
    """Return what a label says of parity: nothing where there is none."""
    extra = bundle.parity_chunks
    if not extra:
        return []
    return [
        f"  parity        {len(extra)} more, {sum(c.size for c in extra)} bytes: an import rebuilds lost or",
        "                damaged chunks from the others if enough are left",
    ]


def summary(own: Own) -> dict[str, Any]:
    """Return the facts about a bundle, as an enclave takes it, that every command prints under the same keys."""
    bundle = own.bundle
    return {
        "bundle": bundle.id,
        "sequence": bundle.sequence,
        "enclave": bundle.enclave,
        "baseline": own.baseline and own.baseline.label,
        "target": bundle.target and bundle.target.label,
        "marking": bundle.marking.to_json(),
        **({"enclaves": bundle.enclaves} if bundle.portions else {}),
    }
