"""The low side's commands that are interrupted, and what must be true of a depot afterwards."""

from dataclasses import dataclass
from pathlib import Path

from airlift.bundle.media_sizes import Medium
from airlift.bundle.parity import layout
from airlift.errors import ExistsError, UsageError
from airlift.low.authority.init import Authorities, init
from airlift.low.authority.members import NamedRole
from airlift.low.authority.rotate import Rotation, rotate
from airlift.low.authority.sign import Transfer, sign
from airlift.low.bundle.check_volumes import check_volumes
from airlift.low.bundle.job import BundleRequest, Destination, Joined
from airlift.low.bundle.make_bundle import make_bundle
from airlift.low.bundle.recut import RecutRequest, recut
from airlift.low.bundle.renew import renew
from airlift.low.bundle.sharding.division import Share
from airlift.low.bundle.sharding.make_shard import ShardResult, make_shard
from airlift.low.bundle.withdraw import withdraw
from airlift.low.depot import attestation_index, enclaves, outstanding, policy
from airlift.low.depot.depot import Depot, open_depot
from airlift.low.release.attest import import_attestation
from airlift.low.release.make_release import make_release
from airlift.low.returns.import_return import import_return
from airlift.low.returns.register import register
from airlift.low.status import status
from airlift.trust.statements import predicates, statement
from airlift.trust.tuf import metadata, publication, roles
from airlift.trust.tuf.metadata import ROOT, TARGETS
from tests.crash.scenes import Known, Run, Scene, copy, unknown
from tests.support import keys, weights
from tests.support.depots import BUNDLER, NOW, RELEASERS, ROOTS, Site
from tests.support.returns import receipt_for

SCENES = (
    "init",
    "release",
    "sign",
    "rotate",
    "export",
    "bundle",
    "bundle with parity",
    "shard",
    "join",
    "renew",
    "withdraw",
    "recut",
    "enrol enclave",
    "take in receipt",
    "attest release",
    "set policy",
)
PROPOSING = {"release", "rotate"}
"""What may leave a proposal that is not signed yet."""
ROTATED = frozenset((*RELEASERS[:2], "grace"))
SMALL = Medium(volume_bytes=1_365_000, file_bytes=64 << 10)
SPARE = Medium(volume_bytes=1_450_000, file_bytes=64 << 10)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a depot says that can be compared between runs."""

    published: frozenset[str]
    pending: int
    enclaves: tuple[str, ...]
    acknowledged: tuple[str, ...]
    outstanding: int
    attested: int
    policy: str | None


def facts(top: Path) -> Facts | None:
    """Return what the depot of a scene says, or None if there is none."""
    if not (top / "depot").exists():
        return None
    depot, now = _depot(top), status(_depot(top), NOW)
    digests = (item.digest for item in depot.releases())
    published = frozenset(digest for digest in digests if depot.is_published(digest))
    attested = sum(len(attestation_index.load(depot, item.digest)) for item in depot.releases())
    records = [enclaves.load(depot, name) for name in now.enclaves]
    held = tuple(item.release for record in records for item in record.acknowledged)
    kept = policy.load(depot)
    rules = kept.digest if kept else None
    return Facts(published, len(now.pending), now.enclaves, held, now.outstanding, attested, rules)


@dataclass(frozen=True, slots=True)
class ExpectedDepot:
    """How an undisturbed run of a scene begins and ends."""

    scene: Scene
    before: Facts | None
    final: Facts

    def judge(self, top: Path, known: Known = unknown) -> None:
        """Assert that an interrupted run left the old or the new state, and that running it again finishes.

        What was recovered is asserted to be so only if it is not known.
        """
        exists = (top / "depot").exists()
        if exists:
            recover_depot(top)
        if known(top):
            return
        if exists:
            self._check_between(top)
        self.scene.run(top)
        self.finished(top)

    def finished(self, top: Path) -> None:
        """Assert that the depot is as after an undisturbed run; a sequence number may have been used in vain."""
        found = facts(top)
        assert found is not None
        assert (found.published, found.pending) == (self.final.published, self.final.pending)
        assert found.enclaves == self.final.enclaves
        assert found.acknowledged == self.final.acknowledged
        assert found.outstanding >= self.final.outstanding
        assert found.attested >= self.final.attested
        assert found.policy == self.final.policy
        _check(top)
        if self.scene.name in {"bundle", "bundle with parity", "join", "renew"}:
            newest = max(item.bundle.id for item in outstanding.load(_depot(top)))
            volumes = sorted((top / "out").glob(f"airlift-{newest}-*"))
            assert volumes
            done = check_volumes(volumes, depot=_depot(top))
            assert (done.missing, done.volumes_present) == ((), done.volumes_total)
            assert done.volumes_total > 1 or self.scene.name == "renew"
        if self.scene.name == "recut":
            done = check_volumes([top / "again"], depot=_depot(top))
            assert (done.missing, done.volumes_present) == ((), done.volumes_total)
            assert done.volumes_total > 1
        if self.scene.name == "shard":
            assert _shard(top, 1).already
            assert [path.name for path in sorted((top / "shared").glob("*/*"))] == ["blocks"]
        if self.scene.name == "export":
            assert (top / "change.json").stat().st_size > 0
        if self.scene.name == "rotate":
            assert _releasers(_depot(top)) == ROTATED

    def _check_between(self, top: Path) -> None:
        """A release may be proposed and not yet signed, and every attempt may have listed one bundle more."""
        found = facts(top)
        known = [item for item in (self.before, self.final) if item is not None]
        assert found is not None
        assert found.published in {item.published for item in known}
        assert found.enclaves in {item.enclaves for item in known}
        assert found.acknowledged in {item.acknowledged for item in known}
        assert found.pending <= max(item.pending for item in known) + (self.scene.name in PROPOSING)
        assert found.outstanding >= min(item.outstanding for item in known)
        assert found.policy in {item.policy for item in known}
        _check(top)


def recover_depot(top: Path) -> None:
    """Do what every command does first that changes a depot."""
    with _depot(top).lock():
        publication.settle(_depot(top).store)


def _check(top: Path) -> None:
    """Every release that the depot lists is whole, its log and metadata can be read, every volume is complete."""
    depot = _depot(top)
    for item in depot.releases():
        for digest in depot.load_release(item.digest).contents():
            assert depot.content.verified_stamp(digest, lambda _count: None)
    newest = metadata.version_of(depot.store.published(ROOT))
    assert depot.root.read_bytes() == depot.store.raw(ROOT, newest)
    assert _releasers(depot) in {frozenset(RELEASERS), ROTATED}
    for volume in sorted([*(top / "out").glob("airlift-*"), *(top / "again").glob("airlift-*")]):
        assert check_volumes([volume]).volumes_present == 1


def _releasers(depot: Depot) -> frozenset[str]:
    return frozenset(member.holder for member in roles.of(depot.store.published(ROOT), TARGETS).members)


def _depot(top: Path) -> Depot:
    return open_depot(top / "depot")


# -- the commands --------------------------------------------------------------------------------------------------


def scenes(folder: Path) -> dict[str, Scene]:
    """Make the depots that the commands start from, and return the scenes by name."""
    starts = folder / "depots"
    (starts / "none").mkdir(parents=True)
    keys.write(folder / "people", *ROOTS, *RELEASERS, "grace", BUNDLER, "ledger")
    manifest = Site(folder).manifest(
        {"base": {"model.safetensors": weights.weights(1, rows=768, columns=64)}, "list": {"a.txt": b"a\n"}},
        kinds={"list": "blocklist"},
    )
    _init(folder / "people", copy(starts / "none", starts / "fresh"))
    _release(copy(starts / "fresh", starts / "proposed"), manifest, RELEASERS[:1])
    _release(copy(starts / "fresh", starts / "released"), manifest, RELEASERS[:2])
    _bundle(copy(starts / "released", starts / "bundled"))
    sharded = copy(starts / "released", starts / "sharded")
    _shard(sharded, 1)
    _shard(sharded, 2)
    _enrol(folder, copy(starts / "released", starts / "enrolled"))
    return _scenes(folder, starts, manifest)


def _scenes(folder: Path, starts: Path, manifest: Path) -> dict[str, Scene]:
    named: dict[str, tuple[str, Run]] = {
        "init": ("none", lambda top: _init(folder / "people", top)),
        "release": ("fresh", lambda top: _release(top, manifest, RELEASERS[:2])),
        "sign": (
            "proposed",
            _sign,
        ),
        "rotate": ("released", lambda top: _rotate(folder / "people", top)),
        "export": ("proposed", _export),
        "bundle": ("released", _bundle),
        "bundle with parity": ("released", lambda top: _bundle(top, SPARE, layout.parse("1"))),
        "shard": ("released", lambda top: _shard(top, 1)),
        "join": ("sharded", _join),
        "renew": ("released", _renew),
        "withdraw": ("bundled", _withdraw),
        "recut": ("bundled", _recut),
        "attest release": ("released", lambda top: _attest(folder, top)),
        "set policy": ("fresh", lambda top: _set_policy(folder / "people", top)),
        "enrol enclave": ("fresh", lambda top: _enrol(folder, top)),
        "take in receipt": ("enrolled", lambda top: _take_in(folder, top)),
    }
    return {name: Scene(name, starts / start, run) for name, (start, run) in named.items()}


def _enrol(folder: Path, top: Path) -> object:
    return register(_depot(top), "alpha", ledger_key=folder / "people" / "ledger.pub", now=NOW)


def _take_in(folder: Path, top: Path) -> object:
    """Take in a receipt that is always the same: one that is signed anew would be another."""
    path = folder / "receipt.json"
    if not path.exists():
        (held,) = _depot(top).releases()
        path.write_bytes(receipt_for("alpha", held))
    return import_return(_depot(top), path.read_bytes(), now=NOW)


def _set_policy(people: Path, top: Path) -> object:
    path = people / "rules.yaml"
    path.write_text("airlift: 1\nattestations: {scan: {threshold: 1, keys: [grace.pub]}}\n")
    return policy.set_policy(_depot(top), path, now=NOW)


def _attest(folder: Path, top: Path) -> object:
    """Take in an attestation that is always the same: signing one anew would make another."""
    path = folder / "depot-scan.json"
    if not path.exists():
        digest = _depot(top).find_release("assistant@1").digest
        said = {"verdict": "pass"}
        made = statement.attest(
            [("assistant@1", digest)], predicates.own_type("scan"), said, keys.signer("x")
        )
        path.write_bytes(made.data)
    return import_attestation(_depot(top), "assistant@1", path, now=NOW)


def _init(people: Path, top: Path) -> object:
    try:
        return init(
            top / "depot",
            Authorities(
                NamedRole([people / f"{name}.key" for name in ROOTS], 2),
                NamedRole([people / f"{name}.key" for name in RELEASERS], 2),
                people / f"{BUNDLER}.pub",
            ),
            now=NOW,
        )
    except ExistsError:
        with _depot(top).lock():
            return None


def _release(top: Path, manifest: Path, names: tuple[str, ...]) -> object:
    return make_release(_depot(top), manifest, signers=[keys.signer(name) for name in names], now=NOW)


def _sign(top: Path) -> object:
    return sign(_depot(top), "assistant@1", signers=[keys.signer(RELEASERS[1])], now=NOW)


def _export(top: Path) -> object:
    try:
        return sign(_depot(top), None, transfer=Transfer(export=top / "change.json"), now=NOW)
    except ExistsError:
        return None


def _bundle(top: Path, medium: Medium = SMALL, redundancy: layout.Redundancy | None = None) -> object:
    to = Destination(top / "out", medium=medium, redundancy=redundancy)
    request = BundleRequest("assistant@1", to, "none")
    return make_bundle(_depot(top), request, signer=keys.signer(BUNDLER), now=NOW)


def _shard(top: Path, number: int) -> ShardResult:
    request = BundleRequest("assistant@1", Destination(top / "shared", medium=SMALL), "none")
    return make_shard(_depot(top), request, Share(number, 2), now=NOW)


def _join(top: Path) -> object:
    to = Destination(top / "out", medium=SMALL)
    request = BundleRequest("assistant@1", to, "none", joined=Joined(top / "shared"))
    return make_bundle(_depot(top), request, signer=keys.signer(BUNDLER), now=NOW)


def _recut(top: Path) -> object:
    (made,) = outstanding.load(_depot(top))
    request = RecutRequest(made.bundle.id, top / "again", SMALL, volumes=(top / "out",))
    return recut(_depot(top), request, now=NOW)


def _renew(top: Path) -> object:
    return renew(_depot(top), Destination(top / "out"), signer=keys.signer(BUNDLER), now=NOW)


def _withdraw(top: Path) -> object:
    for item in outstanding.load(_depot(top)):
        return withdraw(_depot(top), item.bundle.id, signer=keys.signer(BUNDLER), now=NOW)
    with _depot(top).lock():
        return None


def _rotate(people: Path, top: Path) -> object:
    change = Rotation("release", add=[people / "grace.pub"], remove=[RELEASERS[2]])
    signers = [keys.signer(name) for name in ROOTS[:2]]
    try:
        return rotate(_depot(top), change, signers=signers, now=NOW, replace=True)
    except UsageError:  # done before
        with _depot(top).lock():
            return None
