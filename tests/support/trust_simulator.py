"""An in-memory TUF repository that can be tampered with, and an enclave that refreshes from it.

It shares no code with the low side: documents are written out here, so that a mistake there cannot hide here.
"""

import hashlib
import itertools
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from securesystemslib.formats import encode_canonical

from airlift.trust.keys.file import FileSigner, generate
from airlift.trust.tuf import verifier
from airlift.trust.tuf.trusted_metadata import TrustedMetadata

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = "2027-05-01T00:00:00Z"
BUNDLE = b'{"bundle":1}'
RELEASE = b'{"release":1}'
RELEASE_NAME = "release-" + "a" * 64
BUNDLE_NAME = "bundle-" + "b" * 64


@cache
def signer(name: str, scheme: str = "ml-dsa-87") -> FileSigner:
    """Return the same key for the same name in the whole test run."""
    del name  # only names the cache entry
    return generate(scheme)


def digest(data: bytes) -> dict[str, str]:
    return {"sha512": hashlib.sha512(data).hexdigest()}


def target(data: bytes) -> dict[str, Any]:
    return {"length": len(data), "hashes": digest(data)}


def key(holder: FileSigner, name: str) -> dict[str, Any]:
    return {**holder.public.tuf(), "x-airlift-holder": name}


def role(*names: str, threshold: int = 1, days: int = 180) -> dict[str, Any]:
    key_ids = [signer(name).public.key_id for name in names]
    return {"keyids": key_ids, "threshold": threshold, "x-airlift-expiry-days": days}


def keys(*names: str) -> dict[str, Any]:
    return {signer(name).public.key_id: key(signer(name), name) for name in names}


def signature(by: FileSigner, signed: dict[str, Any]) -> dict[str, str]:
    payload = str(encode_canonical(signed)).encode()
    if by.public.scheme == "ml-dsa-87":
        payload = b"tuf\x01" + hashlib.sha512(payload).digest()
    return {"keyid": by.public.key_id, "sig": by.sign(payload).hex()}


def document(signed: dict[str, Any], *names: str) -> bytes:
    signatures = [signature(signer(name), signed) for name in names]
    return json.dumps({"signatures": signatures, "signed": signed}, separators=(",", ":")).encode()


def common(kind: str) -> dict[str, Any]:
    return {"_type": kind, "spec_version": "1.0.31", "version": 1, "expires": LATER}


def delegations() -> dict[str, Any]:
    delegated = {"name": "bundler", "terminating": True, "paths": ["bundle-*"], **role("bundler")}
    return {"keys": keys("bundler"), "roles": [delegated]}


def first_root() -> dict[str, Any]:
    return {
        **common("root"),
        "consistent_snapshot": True,
        "keys": keys("root-1", "root-2", "root-3", "release-1", "release-2", "release-3", "bundler"),
        "roles": {
            "root": role("root-1", "root-2", "root-3", threshold=2, days=730),
            "targets": role("release-1", "release-2", "release-3", threshold=2),
            "snapshot": role("bundler"),
            "timestamp": role("bundler"),
        },
    }


@dataclass
class Simulator:
    """Signed parts by role, who signs them, and the files that :meth:`publish` makes of them."""

    signed: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            "root": first_root(),
            "targets": {
                **common("targets"),
                "targets": {RELEASE_NAME: target(RELEASE), "revocations": target(b"{}")},
                "delegations": delegations(),
            },
            "bundler": {
                **common("targets"),
                "targets": {BUNDLE_NAME: target(BUNDLE)},
                "x-airlift-sequence": 1,
            },
            "snapshot": {**common("snapshot"), "x-airlift-root-version": 1, "meta": {}},
            "timestamp": {**common("timestamp"), "meta": {}},
        }
    )
    by: dict[str, list[str]] = field(
        default_factory=lambda: {
            "root": ["root-1", "root-2"],
            "targets": ["release-1", "release-2"],
            "bundler": ["bundler"],
            "snapshot": ["bundler"],
            "timestamp": ["bundler"],
        }
    )
    files: dict[str, bytes] = field(default_factory=dict)

    def publish(self) -> "Simulator":
        """Sign everything and write all files; earlier roots stay."""
        self.publish_root()
        for name in ("targets", "bundler"):
            self.write(name)
        self.write("snapshot")
        self.write("timestamp")
        return self

    def publish_root(self) -> None:
        self.files[f"{self.signed['root']['version']}.root.json"] = document(
            self.signed["root"], *self.by["root"]
        )

    def write(self, name: str) -> None:
        meta = {"snapshot": ("targets", "bundler"), "timestamp": ("snapshot",)}.get(name, ())
        for other in meta:
            data = self.files[self.file(other)]
            version = self.signed[other]["version"]
            entry = {"version": version, "length": len(data), "hashes": digest(data)}
            self.signed[name]["meta"][f"{other}.json"] = entry
        self.files[self.file(name)] = document(self.signed[name], *self.by[name])

    def file(self, name: str) -> str:
        return "timestamp.json" if name == "timestamp" else f"{self.signed[name]['version']}.{name}.json"

    def bump(self, *names: str) -> "Simulator":
        for name in names or ("targets", "bundler", "snapshot", "timestamp"):
            self.signed[name]["version"] += 1
        return self

    def copy(self) -> "Simulator":
        return deepcopy(self)

    def rotate(self, **roles: dict[str, Any]) -> "Simulator":
        """Make the next root, in which some roles have other keys."""
        root = self.signed["root"]
        root["version"] += 1
        root["roles"].update(roles)
        wanted = {key_id for entry in root["roles"].values() for key_id in entry["keyids"]}
        root["keys"] = {key_id: value for key_id, value in keys(*NAMES).items() if key_id in wanted}
        self.signed["snapshot"]["x-airlift-root-version"] = root["version"]
        return self

    def read(self, name: str, limit: int) -> bytes | None:
        data = self.files.get(name)
        return None if data is None else data[: limit + 1]


NAMES = [f"{group}-{n}" for group in ("root", "release") for n in range(1, 5)] + [
    "bundler",
    "bundler-2",
    "timestamp",
]


class Enclave:
    """The caller's part of an import: commit what verified, keep roots at once."""

    def __init__(self, pinned: bytes, folder: Path) -> None:
        self.pinned = pinned
        self.folder = folder
        self.roots: dict[int, bytes] = {}
        self.state: dict[str, bytes] = {}
        self._count = itertools.count()

    def refresh(
        self, medium: Simulator, time: datetime = NOW, read: Callable[[str, int], bytes | None] | None = None
    ) -> TrustedMetadata:
        trusted = verifier.verify_metadata(
            pinned_root=self.pinned,
            roots=dict(self.roots),
            state=dict(self.state),
            read=read or medium.read,
            reference_time=time,
            workdir=self.folder / f"work-{next(self._count)}",
            keep_root=self.roots.__setitem__,
        )
        self.state = dict(trusted.files)
        return trusted
