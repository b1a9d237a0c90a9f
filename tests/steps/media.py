"""What crosses in the walks: releases of many shapes, revocations, liftings, and the bundles that bring them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from airlift.bundle.revocations import Revocation
from airlift.high.enclave.enclave import Enclave
from airlift.low.authority.revoke import Asked, revoke
from airlift.low.bundle.job import Destination
from airlift.low.bundle.publish import BundleResult
from airlift.low.bundle.renew import renew
from airlift.low.release import make_release
from airlift.trust.tuf import root
from tests.support import forge, keys, weights
from tests.support.depots import BUNDLER, NOW, RELEASERS, ROOTS, make_site
from tests.support.enclaves import fresh

DAYS_APART = 3
CODE = {"run.py": b"print('loaded')\n"}
REMOTE = {"config.json": b'{"auto_map": {"AutoModel": "org/name--modeling.Model"}}'}

Subject = tuple[str, str, int]
"""Kind, digest and serial of a revocation."""


@dataclass(frozen=True, slots=True)
class Part:
    """A component to be released; parts of one ``seed`` have the same weights, whatever they are called."""

    name: str
    kind: str
    version: str
    seed: int
    files: Mapping[str, bytes] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Crossing:
    """One bundle and what the low side put into it; ``release`` is the manifest as JSON, None for a renewal."""

    paths: tuple[Path, ...]
    sequence: int
    issued: datetime
    digest: str | None
    release: Mapping[str, Any] | None
    listed: frozenset[Subject]
    root: int
    lifted: frozenset[Subject]
    releasers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Media:
    """All bundles in the order in which they were made, and an enclave that has imported none of them."""

    crossings: tuple[Crossing, ...]
    enclave: Enclave


def base(version: str, seed: int, files: Mapping[str, bytes] | None = None, **more: Any) -> Part:
    """Return a model."""
    return Part("base", "model", version, seed, files or {}, more)


def guard(version: str, seed: int, name: str = "guard", kind: str = "guard", **more: Any) -> Part:
    """Return a guard, or what calls itself one."""
    return Part(name, kind, version, seed, {}, more)


def needs(version: str, what: str = "guard") -> dict[str, Any]:
    """Return that the base is active only beside ``what`` within ``version``."""
    return {"requires": [{"component": "base", "needs": what, "version": version}]}


def marked(level: str, *caveats: str) -> dict[str, Any]:
    """Return a marking as a release or component states it."""
    return {"marking": {"level": level, "caveats": list(caveats)}}


class _Maker:
    """The low side while it makes one bundle after the other."""

    def __init__(self, folder: Path) -> None:
        self.site = make_site(folder / "site")
        self.made: list[Crossing] = []
        self.listed: tuple[Revocation, ...] = ()
        self.releasers: tuple[str, ...] = RELEASERS[:2]
        self.documents: dict[str, Mapping[str, Any]] = {}
        self.digests: dict[str, str] = {}

    @property
    def now(self) -> datetime:
        return NOW + timedelta(days=DAYS_APART * len(self.made))

    def bring(self, version: str, *parts: Part, by: tuple[str, ...] = RELEASERS[:2], **more: Any) -> None:
        """Release these parts, and bundle the release."""
        path = self.site.manifest(
            {part.name: {"model.safetensors": _weights(part.seed), **part.files} for part in parts},
            version,
            versions={part.name: part.version for part in parts},
            kinds={part.name: part.kind for part in parts},
            **more,
        )
        document = yaml.safe_load(path.read_text())
        for item, part in zip(document["components"], parts, strict=True):
            item.update(part.more)
        path.write_text(yaml.safe_dump(document))
        signers = [keys.signer(name) for name in by]
        make_release.make_release(self.site.depot, path, signers=signers, now=self.now)
        self.releasers = by
        label = f"assistant@{version}"
        self.digests[label] = self.site.depot.find_release(label).digest
        self.documents[label] = json.loads(self.site.depot.documents.load(self.digests[label]))
        self.carry(label)

    def carry(self, label: str) -> None:
        """Bundle a release, once more if it was before."""
        output = f"media-{len(self.made)}"
        self._keep(self.site.bundle(label, output, from_="none", now=self.now), label)

    def renew(self) -> None:
        """Make a bundle of metadata alone."""
        place = Destination(self.site.folder / f"media-{len(self.made)}")
        self._keep(renew(self.site.depot, place, signer=keys.signer(BUNDLER), now=self.now), None)

    def part(self, version: str, name: str) -> Mapping[str, Any]:
        """Return a component of a release."""
        found = self.documents[f"assistant@{version}"]["components"]
        return next(item for item in found if item["name"] == name)

    def revoke(self, kind: str, digest: str, serial: int) -> None:
        """Add to the list."""
        self.publish(*self.listed, Revocation(kind, digest, "why", serial, "vulnerability"))

    def publish(self, *entries: Revocation) -> None:
        """Publish this list, whatever it lacks of the one before."""
        with self.site.depot.lock():
            forge.revoke(self.site, *entries, now=self.now)
        self.listed, self.releasers = tuple(sorted(entries)), RELEASERS[:2]

    def lift(self, *names: str) -> None:
        """Let root lift what is revoked of these."""
        signers = [keys.signer(name) for name in (*ROOTS[:2], *RELEASERS[:2])]
        asked = Asked(names, "mended", lift=True)
        assert revoke(self.site.depot, asked, signers=signers, now=self.now).published
        lifted = root.lifted(self.site.depot.store.published("root"))
        self.listed = tuple(item for item in self.listed if item.subject not in lifted)
        self.releasers = RELEASERS[:2]

    def _keep(self, result: BundleResult, label: str | None) -> None:
        published = self.site.depot.store.published("root")
        lifted = published["signed"].get("x-airlift-lifted", [])
        self.made.append(
            Crossing(
                paths=tuple(item.path for item in result.volumes),
                sequence=result.sequence,
                issued=self.now,
                digest=self.digests[label] if label else None,
                release=self.documents[label] if label else None,
                listed=frozenset((item.kind, item.digest, item.serial) for item in self.listed),
                root=published["signed"]["version"],
                lifted=frozenset((item["kind"], item["digest"], item["serial"]) for item in lifted),
                releasers=self.releasers,
            )
        )


def make(folder: Path) -> Media:
    """Make all of it; what an honest low side would refuse to make as well."""
    maker = _Maker(folder)
    keys.write(maker.site.keys, "ledger")
    enclave = fresh(folder / "enclave", maker.site)  # pins the first root, which lifts nothing
    with _heedless():
        _make(maker)
    return Media(tuple(maker.made), enclave)


def _make(maker: _Maker) -> None:
    maker.bring("1", base("1.0", 1), guard("2.0", 20))
    maker.bring("2", base("1.1", 2), guard("2.1", 21), **needs(">=2.0"))
    maker.bring("3", base("1.1", 2), guard("2.2", 22), by=("dan", "frank"), **needs(">=2.2,<3"))
    maker.revoke("component", maker.part("1", "guard")["digest"], 1)
    maker.renew()
    maker.bring("4", base("2.0", 3), guard("2.5", 23, "filter"))
    maker.bring(
        "5", base("2.0", 3), guard("2.6", 24, "shield", replaces=["guard"]), **needs("==2.6", "shield")
    )
    maker.revoke("release", maker.digests["assistant@4"], 2)
    maker.bring("6", base("2.1", 4), guard("2.3", 25), **needs(">=3"))  # not met
    maker.carry("assistant@2")
    waived = [{"what": "code", "reason": "read by two"}]
    maker.bring("7", base("2.1.1", 5, CODE, accept=waived), guard("2.3", 25), by=("erin", "frank"))
    part = maker.part("7", "base")["files"][-1]
    maker.revoke("file", part["sha256"], 3)
    maker.renew()
    maker.bring("8", base("2.2", 6, **marked("CUI")), guard("2.4", 26), **marked("CUI"))
    maker.publish(Revocation("component", maker.part("8", "guard")["digest"], "why", 4, "other"))  # shorter
    maker.renew()
    maker.bring("9", base("2.2", 6), guard("3.0", 27), **marked("SECRET", "NOFORN"))
    maker.publish(
        *maker.listed,
        Revocation("component", maker.part("1", "guard")["digest"], "why", 1, "vulnerability"),
        Revocation("file", part["sha256"], "why", 3, "vulnerability"),
    )
    maker.lift(maker.part("1", "guard")["digest"], part["sha256"])
    maker.renew()
    maker.bring("10", base("2.3", 7), guard("nightly", 28), guard("3.1", 29, "second"))
    maker.bring("11", base("3.0", 8))
    maker.revoke("key", keys.signer("ben").public.key_id, 6)
    maker.renew()
    remote = [{"what": "remote-code", "reason": "none is run"}]
    tokens = Part("words", "tokenizer", "1", 9, REMOTE, {"accept": remote})
    maker.bring("12", base("3.0", 8), guard("3.0rc1", 30), tokens, **marked("CUI", "REL TO USA, GBR"))
    maker.bring("13", base("3.1", 10), guard("9.0", 31, kind="data"), guard("2.7", 32, "shield"))
    maker.revoke("component", maker.part("1", "guard")["digest"], 7)
    maker.bring("14", base("3.2", 11), guard("3.2", 33), guard("1.0", 34, "old", replaces=["filter"]))
    maker.revoke("release", maker.digests["assistant@3"], 8)
    maker.renew()
    maker.carry("assistant@5")


def _weights(seed: int) -> bytes:
    return weights.weights(seed * 2, rows=8, columns=8)


@contextmanager
def _heedless() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, forge.heedless():
        patch.setattr(make_release, "requirement_objections", lambda _release: [])
        patch.setattr(make_release, "check_comparable", lambda _release: None)
        yield
