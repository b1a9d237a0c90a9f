"""What an enclave holds (8.1, 9.2), read and never written: trust, ledger, manifests, content, staged work."""

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.second import strict
from tests.second.documents import fields, release
from tests.second.errors import Refused, demand
from tests.second.trust import keys, metadata
from tests.second.trust.walk import Pinned


@dataclass(frozen=True, slots=True)
class Committed:
    """A bundle that was committed."""

    manifest: str
    sequence: int
    issued: datetime
    keys: frozenset[str]
    release: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Enclave:
    """An enclave as its ledger tells it."""

    folder: Path
    name: str
    minimum_sequence: int
    committed: tuple[Committed, ...]
    pinned: Pinned
    collected: frozenset[str]

    def manifest(self, digest: str) -> dict[str, Any]:
        """Return the manifest of a release that was imported."""
        return release.parse((self.folder / "history" / f"{digest[:64]}.json").read_bytes())

    def pieces(self, value: dict[str, Any]) -> dict[str, list[str]]:
        """Return the pieces that a release that was imported states."""
        if "pieces" not in value:
            return {}
        return release.pieces(value, (self.folder / "history" / f"{value['pieces'][:64]}.json").read_bytes())

    def content(self, digest: str) -> Path:
        """Return where content is kept, or would be."""
        return self.folder / "content" / digest[:2] / digest

    def staged_chunk(self, manifest: str, digest: str) -> bytes | None:
        """Return a chunk as an incomplete import left it; one that is not whole counts as missing [7.8-2]."""
        path = self.folder / "staging" / manifest[:64] / "chunks" / digest[:64]
        try:
            data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        except OSError:
            return None
        return data if hashlib.sha512(data).hexdigest() == digest else None

    def installed(self) -> Iterator[dict[str, Any]]:
        """Yield the manifests of the releases that are installed."""
        seen = set(self.collected)
        for bundle in self.committed:
            if bundle.release is not None and bundle.release["digest"] not in seen:
                seen.add(bundle.release["digest"])
                yield self.manifest(bundle.release["digest"])


def read(folder: Path) -> Enclave:
    """Read an enclave that is at rest: no command runs in it, and none was interrupted.

    Raises:
        Refused: ``trust-state-mismatch``, if roots or trust state are not what the ledger says (4.4, 7.6-1).
    """
    entries = _entries(folder / "ledger.db")
    enrolment = next(entry["detail"] for entry in entries if entry["type"] == "enroll")
    committed = tuple(_committed(entry["detail"]) for entry in entries if entry["type"] == "import-commit")
    trust = [entry["detail"]["trust"] for entry in entries if entry["type"] == "import-commit"]
    collected = frozenset(
        digest for entry in entries if entry["type"] == "gc" for digest in entry["detail"]["releases"]
    )
    pinned = Pinned(_roots(folder, enrolment), _state(folder, trust))
    return Enclave(folder, enrolment["enclave"], enrolment["minimum_sequence"], committed, pinned, collected)


def _entries(database: Path) -> list[dict[str, Any]]:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return [json.loads(row[0]) for row in connection.execute("SELECT data FROM entries ORDER BY idx")]
    finally:
        connection.close()


def _committed(detail: dict[str, Any]) -> Committed:
    return Committed(
        detail["bundle_manifest"],
        detail["sequence"],
        fields.time(detail["issued"]),
        frozenset(detail["bundler_keys"]),
        detail["release"],
    )


def _roots(folder: Path, enrolment: dict[str, Any]) -> dict[int, bytes]:
    roots = {}
    for path in (folder / "trust" / "roots").iterdir():
        found = re.fullmatch(r"([1-9][0-9]{0,9})\.root\.json", path.name)
        if found:
            roots[int(found[1])] = path.read_bytes()
    version = enrolment["root_version"]
    same = version in roots and fingerprint(roots[version]) == enrolment["root_fingerprint"]
    demand(same and min(roots) == version, "another root than the pinned one", "trust-state-mismatch")
    try:
        for number, data in roots.items():
            metadata.parse(data, "root", number)
    except Refused as refused:
        raise Refused("trust-state-mismatch", str(refused)) from None
    return roots


def fingerprint(root: bytes) -> str:
    """Return the fingerprint of a root (4.4-1), or nothing if it cannot be parsed."""
    try:
        signed = strict.loads(root, metadata.LIMITS["root"])["signed"]
    except (Refused, KeyError, TypeError):
        return ""
    return hashlib.sha384(keys.canonical(signed)).hexdigest()


def _state(folder: Path, trust: list[dict[str, str]]) -> dict[str, bytes]:
    if not trust:
        return {}
    place = folder / "trust" / trust[-1]["folder"]
    state = {path.name: path.read_bytes() for path in place.iterdir()} if place.is_dir() else {}
    digests = {name: hashlib.sha384(data).hexdigest() for name, data in state.items()}
    same = hashlib.sha384(strict.dumps(digests)).hexdigest() == trust[-1]["digest"]
    demand(same, "another trust state than the ledger committed", "trust-state-mismatch")
    return state
