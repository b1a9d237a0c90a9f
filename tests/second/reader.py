"""The reader of volumes (6.4): what breaks its rules is refused with or without trust."""

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.second import inventory
from tests.second.documents import bundle, portions, release, variants, volume
from tests.second.errors import Refused, demand
from tests.second.trust import metadata

_ROOT = re.compile(r"([1-9][0-9]{0,9})\.root\.json")
_ROLE = re.compile(r"([1-9][0-9]{0,9})\.(snapshot|targets|bundler)\.json")
_LIMIT = 512 << 20

MOST = 256
"""Volumes that are read at a time [6.4-3]."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume that is consistent with itself."""

    path: Path
    index: dict[str, Any]
    sums: dict[str, str]
    label: bytes
    metadata: dict[str, bytes]
    documents: dict[str, bytes]
    chunks: dict[str, Path]
    leftovers: list[str]


@dataclass(frozen=True, slots=True)
class Media:
    """The volumes of one bundle, and the documents that they carry; nothing of it is known to be signed.

    Attributes:
        manifest: The bundle manifest; once it is known who reads it, what of it is theirs (6.2-9).
        whole: All of it.
        digest: Its SHA-512.
        release: The release manifest, or None.
        documents: Files of ``manifests/`` by SHA-512.
    """

    manifest: dict[str, Any]
    digest: str
    release: dict[str, Any] | None
    metadata: dict[str, bytes]
    documents: dict[str, bytes]
    volumes: list[Volume]
    leftovers: list[str] = field(default_factory=list)
    whole: dict[str, Any] = field(default_factory=dict)

    def document(self, digest: str) -> bytes:
        """Return a document by its SHA-512.

        Raises:
            Refused: ``inventory-mismatch``, if it is not there.
        """
        demand(digest in self.documents, "a document that is not there", "inventory-mismatch")
        return self.documents[digest]

    def chunk(self, digest: str, size: int) -> bytes | None:
        """Return a chunk that has its signed digest, or None if no volume has it.

        Args:
            digest: Its SHA-512.
            size: Its length.

        Raises:
            Refused: ``digest-mismatch``, if every copy is damaged (6.4-5), or ``unreadable``: without parity at
                once (7.8-1), with parity if no other copy is good (6.7-5).
        """
        wrong: list[Refused] = []
        for one in self.volumes:
            path = one.chunks.get(digest[:64])
            if path is None:
                continue
            try:
                data = _read_chunk(path, size)
            except Refused as refused:
                wrong.insert(0, refused)
                if "parity" in self.manifest:
                    continue
                raise
            listed = hashlib.sha256(data).hexdigest() == one.sums[f"chunks/{digest[:64]}"]
            if listed and len(data) == size and hashlib.sha512(data).hexdigest() == digest:
                return data
            wrong.append(Refused("digest-mismatch", "every copy of a chunk is damaged"))
        if wrong:
            raise wrong[0]
        return None


def read(given: Sequence[Path]) -> Media:
    """Read the volumes that are given, or that lie in folders that are given.

    Raises:
        Refused: As 6.4-6 says.
    """
    demand(given, "no volume was given", "unreadable")
    paths = [path for folder in given for path in _find(folder)]
    demand(len(paths) <= MOST, "too many volumes", "unreadable")
    volumes = [_read_volume(path) for path in paths]
    first = volumes[0]
    for other in volumes[1:]:
        same = (
            other.index["manifest"] == first.index["manifest"]
            and other.index["bundle"] == first.index["bundle"]
        )
        demand(same, "volumes of different bundles", "volumes-mixed")
        equal = other.metadata == first.metadata and other.documents == first.documents
        demand(equal, "volumes whose metadata or documents differ", "volumes-mixed")
    return _agree(volumes)


def _find(folder: Path) -> list[Path]:
    if (folder / "volume.json").exists() or (folder / "volume.json").is_symlink():
        return [folder]
    found = []
    for name in inventory.names(folder):
        path = folder / name
        if inventory.is_leftover(name) or not path.is_dir() or "volume.json" not in inventory.names(path):
            continue
        demand(not path.is_symlink(), f"{name} is a link to a volume", "inventory-mismatch")
        found.append(path)
    demand(found, f"there is no volume in {folder}", "unreadable")
    return found


def _read_chunk(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = b""
            while piece := os.pread(file.fileno(), size + 1 - len(data), len(data)):
                data += piece
            return data
    except OSError as error:
        raise Refused("unreadable", f"{path}: {error.strerror}") from None


def _read_volume(path: Path) -> Volume:
    there = inventory.take(path)
    demand("volume.json" in there.files, "volume.json is missing", "inventory-mismatch")
    index = volume.parse(inventory.read(path / "volume.json", volume.LIMIT))
    demand("SHA256SUMS" in there.files, "SHA256SUMS is missing", "inventory-mismatch")
    sums_data = inventory.read(path / "SHA256SUMS", volume.SUMS_LIMIT)
    same = hashlib.sha512(sums_data).hexdigest() == index["sums"]
    demand(same, "SHA256SUMS is not what volume.json names", "digest-mismatch")
    sums = volume.parse_sums(sums_data)
    _closed(there.files, sums)
    read_files = _read_listed(path, there.files, sums)
    metadata_files = _inside(read_files, "metadata/")
    _check_metadata(metadata_files)
    documents = _check_documents(_inside(read_files, "manifests/"))
    chunks = {name: path / "chunks" / name for name in _inside(there.files, "chunks/")}
    return Volume(
        path, index, sums, read_files["LABEL.txt"], metadata_files, documents, chunks, there.leftovers
    )


def _closed(there: dict[str, int], sums: dict[str, str]) -> None:
    """Hold that what lies there is what is listed; only chunks may be absent (6.4-2)."""
    present = set(there) - {"volume.json", "SHA256SUMS"}
    undeclared = present - set(sums)
    demand(not undeclared, f"not declared: {sorted(undeclared)[:3]}", "inventory-mismatch")
    missing = [path for path in set(sums) - present if not path.startswith("chunks/")]
    demand(not missing and "LABEL.txt" in sums, f"missing: {sorted(missing)[:3]}", "inventory-mismatch")
    for folder, most, size in (("metadata/", 1100, 8 << 20), ("manifests/", 2048, 64 << 20)):
        sizes = _inside(there, folder)
        fits = len(sizes) <= most and all(each <= size for each in sizes.values())
        demand(fits, f"too much in {folder}", "inventory-mismatch")
    beside = sum(size for path, size in there.items() if not path.startswith("chunks/"))
    demand(beside <= _LIMIT, "too much beside the chunks", "inventory-mismatch")


def _inside(files: dict[str, T], folder: str) -> dict[str, T]:
    return {path.removeprefix(folder): value for path, value in files.items() if path.startswith(folder)}


def _read_listed(path: Path, there: dict[str, int], sums: dict[str, str]) -> dict[str, bytes]:
    found = {}
    for name in there:
        if name in sums and not name.startswith("chunks/"):
            data = inventory.read(path / name, 64 << 20)
            same = hashlib.sha256(data).hexdigest() == sums[name]
            demand(same, f"{name} is not what SHA256SUMS lists", "digest-mismatch")
            found[name] = data
    return found


def _check_metadata(files: dict[str, bytes]) -> None:
    """Hold the names in ``metadata/``, and that snapshot, bundler and timestamp are of one version (6.4-2)."""
    roots = sorted(int(found[1]) for found in map(_ROOT.fullmatch, files) if found)
    roles = {found[2]: int(found[1]) for found in map(_ROLE.fullmatch, files) if found}
    whole = (
        roots and roots == list(range(1, len(roots) + 1)) and len(roles) == 3 and "timestamp.json" in files
    )
    demand(
        whole and len(files) == len(roots) + 4,
        "metadata that is not what belongs there",
        "inventory-mismatch",
    )
    version = metadata.parse(files["timestamp.json"], "timestamp").version
    same = roles["snapshot"] == roles["bundler"] == version
    demand(same, "snapshot, bundler and timestamp of different versions", "inventory-mismatch")


def _check_documents(files: dict[str, bytes]) -> dict[str, bytes]:
    documents = {}
    for name, data in files.items():
        digest = hashlib.sha512(data).hexdigest()
        demand(re.fullmatch(r"[0-9a-f]{64}\.json", name), f"manifests/{name}", "inventory-mismatch")
        demand(name == f"{digest[:64]}.json", f"manifests/{name} has another digest", "digest-mismatch")
        documents[digest] = data
    return documents


def _agree(volumes: list[Volume]) -> Media:
    """Hold volumes against the bundle manifest that they carry (6.4-6)."""
    first = volumes[0]
    digest = first.index["manifest"]
    demand(digest in first.documents, "the bundle manifest is missing", "inventory-mismatch")
    manifest = bundle.parse(first.documents[digest])
    for one in volumes:
        _agrees(one, manifest)
    carried = _release(manifest, first.documents)
    leftovers = [f"{one.path}/{name}" for one in volumes for name in one.leftovers]
    return Media(manifest, digest, carried, first.metadata, first.documents, volumes, leftovers, manifest)


def _agrees(one: Volume, manifest: dict[str, Any]) -> None:
    demand(
        one.index["bundle"] == bundle.identity(manifest),
        "another id than the manifest's",
        "inventory-mismatch",
    )
    label = volume.label(manifest, one.index["volume"], one.index["volumes"])
    demand(one.label == label, "a label that says something else", "inventory-mismatch")
    sizes = {chunk["sha512"][:64]: chunk["size"] for chunk in bundle.all_chunks(manifest)}
    listed = _inside(one.sums, "chunks/")
    demand(set(listed) <= set(sizes), "a chunk of another bundle", "inventory-mismatch")
    told = (one.index["chunks"], one.index["chunk_bytes"])
    counted = (len(listed), sum(sizes[name] for name in listed))
    demand(told == counted, "another number of chunks than volume.json says", "inventory-mismatch")


def _release(manifest: dict[str, Any], documents: dict[str, bytes]) -> dict[str, Any] | None:
    demand(manifest["revocations"] in documents, "the revocations are missing", "inventory-mismatch")
    target = manifest["target"]
    if target is None:
        return None
    demand(target["digest"] in documents, "the release manifest is missing", "inventory-mismatch")
    carried = release.parse(documents[target["digest"]])
    same = (carried["name"], carried["version"], carried["marking"])
    demand(
        same == (target["name"], target["version"], manifest["marking"]),
        "a release of another name or marking",
    )
    for one in portions.every(manifest):
        _holds(one, carried)
    registered = [c for c in carried["components"] if c["source"]["kind"] == "registered"]
    demand(not registered, "what was registered in an enclave comes in on no medium [5.1-17]")
    return carried


def _holds(manifest: dict[str, Any], carried: dict[str, Any]) -> None:
    """Hold what one enclave takes of a bundle against its release."""
    target = manifest["target"]
    ends = (target, manifest["baseline"] or target)
    brings = manifest["bases"] or manifest["files"] or manifest["chunks"]
    again = manifest["baseline"] is not None and ends[0]["digest"] == ends[1]["digest"]
    demand(not (again and brings) or variants.groups(carried), "a baseline that is the target [6.2-4]")
    variants.check_bundle(manifest, carried)
    contents = release.contents(variants.only(carried, variants.carried(manifest, carried)))
    demand(all(_same(file, contents) for file in manifest["files"]), "a file that is not the release's")


def _same(file: dict[str, Any], contents: dict[str, tuple[int, str]]) -> bool:
    return file["sha512"] in contents and contents[file["sha512"]][0] == file["size"]


def chunks_listed(volumes: Iterable[Volume]) -> set[str]:
    """Return the names of all chunks that lie on some volume."""
    return {name for one in volumes for name in one.chunks}
