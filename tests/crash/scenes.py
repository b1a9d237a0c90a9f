"""The commands that are interrupted, and the enclaves that they start from."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from airlift.bundle.fields import format_time
from airlift.bundle.media_sizes import Medium
from airlift.bundle.parity import layout
from airlift.bundle.volume import CHUNKS
from airlift.errors import AirliftError, ExistsError, IncompleteError, NotHeldError
from airlift.high.activation.activate import activate, roll_back
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.discard import discard
from airlift.high.enclave.enclave import Enclave, Operator, open_enclave
from airlift.high.enclave.gc import collect_garbage
from airlift.high.enclave.init import NewEnclave, init_enclave, root_fingerprint
from airlift.high.enclave.recover import recover
from airlift.high.governance.record_attestations import record_attestations
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.repair import repair
from airlift.high.registering.register import register
from airlift.high.relaying.relay import RelayRequest, relay
from airlift.high.relaying.store import drop, store
from airlift.high.serving.export import Job, export, unfollow
from airlift.layouts.layouts import Choice
from airlift.ledger import kept_state
from airlift.ledger.entries.administration import PolicyChange
from airlift.ledger.entry import Draft
from airlift.trust.statements import predicates, statement
from tests.support import keys, revoking, weights
from tests.support.depots import NOW, RELEASERS, Site, make_site

VERSIONS = ("1", "2", "3")
SMALL = Medium(file_bytes=64 << 10)
SLOW = Medium(file_bytes=64 << 10, volume_bytes=1_293_000)
"""Cuts a bundle into three volumes."""
SPARE = Medium(file_bytes=64 << 10, volume_bytes=1_450_000)
"""Cuts a bundle into two volumes, and two of parity."""
POLICY = """\
airlift: 1
enclave: alpha
keep: 5
attestations:
  approval:
    keys: [carol.pub]
    threshold: 1
"""

PERMITS = "airlift: 2\nenclave: alpha\nkeep: 5\nregister: [adapter]\n"
TRAINED = {
    "cases/empty.txt": b"",
    "cases/notes.txt": b"the same in every version\n" * 50,
    "registration.yaml": b"""\
airlift: 1
components:
  - name: cases
    kind: adapter
    version: "1"
    source: {path: cases}
    parents: [{component: base, relation: adapter-of}]
    data: [{name: case-files, version: "1", marking: {level: UNCLASSIFIED}}]
""",
}
"""What was trained inside: weights, and content that the enclave holds already."""
HUB = """\
airlift: 2
enclave: alpha
relay: {bravo: {ledger_key: bravo.pub, ceiling: {level: UNCLASSIFIED}}}
"""
OUT = "out"
"""Where a hub hands on to, beside it."""
SERVED = "served"
"""Where an enclave is served, beside it."""

Run = Callable[[Path], object]
"""Runs a command on the enclave in the folder ``enclave`` of the folder that it is given."""


Known = Callable[[Path], bool]
"""Says whether what the folder holds has been judged before."""


def unknown(_top: Path) -> bool:
    """Judge everything anew."""
    return False


@dataclass(frozen=True, slots=True)
class Scene:
    """A command, and the folder (holding ``enclave``, if there is one) that it starts from."""

    name: str
    start: Path
    run: Run


@dataclass(frozen=True, slots=True)
class World:
    """A depot with three releases and their bundles, and enclaves in the states that commands start from."""

    folder: Path
    site: Site
    releases: Mapping[str, str]
    bundles: Mapping[str, str]

    def volumes(self, version: str) -> list[Path]:
        """Return the volumes of the bundle that brings a version."""
        return [self.folder / f"out{version}"]

    def start(self, name: str) -> Path:
        """Return the folder that a scene starts from."""
        return self.folder / "starts" / name


def operator() -> Operator:
    """Return who runs every command here."""
    return Operator("crash", keys.signer("ledger"), NOW)


def enclave_in(folder: Path) -> Enclave:
    """Return the enclave of a scene."""
    return open_enclave(folder / "enclave")


def make_world(folder: Path) -> World:
    """Build everything that the scenes need, once."""
    site = make_site(folder / "low")
    releases, bundles = {}, {}
    for version, changed in zip(VERSIONS, (0, 40, 80), strict=True):
        releases[version] = site.release(
            _components(version, changed), version, kinds={"list": "blocklist"}
        ).digest
        bundles[version] = site.bundle(
            f"assistant@{version}",
            output=f"../out{version}",
            from_=f"assistant@{int(version) - 1}" if version != "1" else "none",
            medium=SMALL,
        ).bundle
    site.bundle("assistant@2", output="../outwhole", from_="none")
    bundles["slow"] = site.bundle("assistant@1", output="../slow", medium=SLOW).bundle
    site.bundle("assistant@1", output="../parity", from_="none", medium=SPARE, redundancy=layout.parse("2"))
    keys.write(folder / "keys", "ledger", "carol", "bravo")
    (folder / "keys" / "policy.yaml").write_text(POLICY)
    (folder / "keys" / "permits.yaml").write_text(PERMITS)
    weights.component(folder / "trained", {"cases/adapter.safetensors": weights.weights(9), **TRAINED})
    (folder / "keys" / "hub.yaml").write_text(HUB)
    said = statement.attest(
        [("assistant@1", releases["1"])],
        predicates.own_type("scan"),
        {"verdict": "pass"},
        keys.signer(RELEASERS[0]),
    )
    (folder / "scan.json").write_bytes(said.data)
    for name, hit in (("hole", ["2"]), ("holes", ["1", "2"])):
        _revoke(site, *(releases[version] for version in hit))
        revoking.renewal(site, f"../out-{name}")
    world = World(folder, site, releases, bundles)
    _make_starts(world)
    return world


def _components(version: str, changed: int) -> dict[str, dict[str, bytes]]:
    return {
        "base": {
            "model.safetensors": weights.weights(1, rows=512, columns=64, changed=changed),
            "config.json": b'{"version": %s}' % version.encode(),
            "empty.txt": b"",
            "same/notes.txt": b"the same in every version\n" * 50,
        },
        "list": {"words.txt": b"word %s\n" % version.encode() * (9 - int(version))},
    }


def _make_starts(world: World) -> None:
    none = world.start("none")
    none.mkdir(parents=True)
    _make(world, "enrolled", "none", _enrol(world))
    _make(world, "one", "enrolled", lambda top: _import(world, top, "1"))
    _make(world, "partial", "enrolled", lambda top: _import_part(world, top))
    _make(world, "begun", "enrolled", lambda top: _import_one(world, top, 0))
    _make(world, "waiting", "begun", lambda top: _import_one(world, top, 1))
    _make(world, "stray", "begun", _forget_manifest)
    _make(world, "installed", "one", lambda top: _import(world, top, "2", active=False))
    _make(world, "long", "installed", _lengthen)
    _make(world, "two", "one", lambda top: _import(world, top, "2"))
    _make(world, "three", "two", lambda top: _import(world, top, "3"))
    _make(world, "damaged", "two", _damage)
    _make(world, "permitting", "one", lambda top: _set_policy(world, top, "permits.yaml"))
    _make(world, "reverted", "two", lambda top: _revert(world, top))
    _make(world, "hub", "enrolled", lambda top: _set_policy(world, top, "hub.yaml"))
    _make(world, "keeping", "hub", lambda top: [_store(world, top, version) for version in ("2", "3")])


def _make(world: World, name: str, base: str, run: Run) -> None:
    copy(world.start(base), world.start(name))
    run(world.start(name))


def scenes(world: World) -> dict[str, Scene]:
    """Return every scene by name."""
    two = f"assistant@{VERSIONS[1]}"
    made = [
        Scene("enrol", world.start("none"), _enrol(world)),
        Scene("import-full", world.start("enrolled"), lambda top: _import(world, top, "1")),
        Scene("import-delta", world.start("one"), lambda top: _import(world, top, "2")),
        Scene("import-resumed", world.start("partial"), lambda top: _import(world, top, "1")),
        Scene("import-parity", world.start("enrolled"), lambda top: _import_parity(world, top)),
        Scene("import-part", world.start("enrolled"), lambda top: _import_part(world, top)),
        Scene("import-next", world.start("begun"), lambda top: _import_one(world, top, 1)),
        Scene("import-last", world.start("waiting"), lambda top: _import_one(world, top, 2)),
        Scene("import-beside", world.start("begun"), lambda top: _import(world, top, "whole")),
        Scene("import-revoking", world.start("two"), lambda top: _import(world, top, "-hole", active=False)),
        Scene(
            "import-withdrawing", world.start("one"), lambda top: _import(world, top, "-holes", active=False)
        ),
        Scene("discard", world.start("begun"), lambda top: _discard(world, top)),
        Scene(
            "gc-staged",
            world.start("stray"),
            lambda top: collect_garbage(enclave_in(top), 1, operator=operator()),
        ),
        Scene(
            "activate",
            world.start("installed"),
            lambda top: activate(enclave_in(top), two, operator=operator()),
        ),
        Scene(
            "activate-long",  # it keeps the state first
            world.start("long"),
            lambda top: activate(enclave_in(top), two, operator=operator()),
        ),
        Scene("rollback", world.start("two"), _rollback),
        Scene(
            "gc", world.start("three"), lambda top: collect_garbage(enclave_in(top), 1, operator=operator())
        ),
        Scene("policy", world.start("one"), lambda top: _set_policy(world, top)),
        Scene("attest", world.start("one"), lambda top: _attest(world, top)),
        Scene("register", world.start("permitting"), lambda top: _register(world, top)),
        Scene("repair", world.start("damaged"), lambda top: _repair(world, top)),
        Scene("recover", world.start("reverted"), _recover),
        Scene("serve", world.start("two"), _serve),
        Scene("serve-follow", world.start("two"), _follow),
        Scene("relay-store", world.start("hub"), lambda top: _store(world, top, "2")),
        Scene("relay-to", world.start("keeping"), _hand_on),
        Scene("relay-drop", world.start("keeping"), lambda top: _drop(world, top)),
    ]
    return {scene.name: scene for scene in made}


def copy(source: Path, target: Path) -> Path:
    """Copy a tree with its links, hard links included."""
    known: dict[tuple[int, int], Path] = {}

    def copy_file(old: str, new: str) -> str:
        status = Path(old).lstat()
        first = known.setdefault((status.st_dev, status.st_ino), Path(new))
        if first == Path(new) or Path(old).is_symlink():
            shutil.copy2(old, new, follow_symlinks=False)
        else:
            Path(new).hardlink_to(first)
        return new

    shutil.copytree(source, target, symlinks=True, copy_function=copy_file)
    return target


# -- the commands --------------------------------------------------------------------------------------------------


def _enrol(world: World) -> Run:
    root, key = world.site.depot.root, str(world.folder / "keys" / "ledger.key")
    new = NewEnclave("alpha", root, root_fingerprint(root), key)

    def run(top: Path) -> object:
        try:
            return init_enclave(top / "enclave", new, operator=operator())
        except ExistsError:
            return _recover(top)

    return run


def _lengthen(top: Path) -> object:
    """Append so many entries that the next command keeps the state that they add up to."""
    place = enclave_in(top)
    change = PolicyChange(place.state().policy or "", {})
    said = Draft(change.TYPE, "crash", format_time(NOW), detail=change.format())
    with place.ledger(writable=True) as log:
        return log.append_all([said] * (kept_state.STEP + 1), operator().signer)


def _recover(top: Path) -> object:
    with enclave_in(top).lock():
        return recover(enclave_in(top), operator())


def _import(world: World, top: Path, version: str, *, active: bool = True) -> object:
    return import_bundle(enclave_in(top), world.volumes(version), operator=operator(), activate=active)


def _import_part(world: World, top: Path) -> object:
    """Import a medium that lacks a chunk: the others are kept for the next run."""
    medium = world.folder / "part"
    if not medium.exists():
        volume = next((world.folder / "out1").iterdir())
        copy(volume, medium)
        min((medium / CHUNKS).iterdir()).unlink()
    try:
        return import_bundle(enclave_in(top), [medium], operator=operator(), activate=True)
    except IncompleteError as error:
        return error


def _import_one(world: World, top: Path, number: int) -> object:
    """Import one of three volumes: incomplete, unless the others are staged."""
    medium = sorted((world.folder / "slow").iterdir())[number]
    try:
        return import_bundle(enclave_in(top), [medium], operator=operator(), activate=True)
    except IncompleteError as error:
        return error


def _forget_manifest(top: Path) -> None:
    """Leave staged chunks of which nobody can tell what they are."""
    (staged,) = enclave_in(top).staging.iterdir()
    (staged / "bundle.json").unlink()


def _discard(world: World, top: Path) -> object:
    try:
        return discard(enclave_in(top), world.bundles["slow"], operator=operator())
    except NotHeldError:  # done before
        return _recover(top)


def _import_parity(world: World, top: Path) -> object:
    """Import a bundle whose volumes of data were lost on the way: only those of parity are left."""
    volumes = sorted((world.folder / "parity").iterdir())
    return import_bundle(enclave_in(top), volumes[2:], operator=operator(), activate=True)


def _revoke(site: Site, *releases: str) -> None:
    """Revoke the base model of these releases, and write a renewal that says so."""
    found = [site.depot.load_release(digest) for digest in releases]
    revoking.publish(
        site, [revoking.of_component(item, "base", number) for number, item in enumerate(found, 1)]
    )


def _rollback(top: Path) -> object:
    return roll_back(enclave_in(top), "assistant@1", operator=operator())


def _set_policy(world: World, top: Path, name: str = "policy.yaml") -> object:
    return change_policy(enclave_in(top), world.folder / "keys" / name, operator=operator())


def _register(world: World, top: Path) -> object:
    return register(enclave_in(top), world.folder / "trained" / "registration.yaml", operator=operator())


def _store(world: World, top: Path, version: str) -> object:
    return store(enclave_in(top), world.volumes(version), operator=operator())


def _hand_on(top: Path) -> object:
    """Hand on two bundles, of a volume each."""
    return relay(enclave_in(top), RelayRequest("bravo", top / OUT), operator=operator())


def _drop(world: World, top: Path) -> object:
    try:
        return drop(enclave_in(top), world.bundles["2"], operator=operator())
    except NotHeldError:  # done before
        return _recover(top)


def _serve(top: Path) -> object:
    try:
        return export(enclave_in(top), Job("assistant@1", Choice("tree"), top / SERVED), operator=operator())
    except ExistsError:  # done before
        return _recover(top)


def _follow(top: Path) -> object:
    """Serve what is active, return to the release before, and end it; the place is part of the record."""
    place, job = enclave_in(top), Job("active", Choice("tree"), top / SERVED, follow=True)
    try:
        export(place, job, operator=operator())
    except ExistsError:  # all of it was done before
        return _recover(top)
    activate(place, "assistant@1", operator=operator())
    return unfollow(place, top / SERVED, operator=operator())


def _attest(world: World, top: Path) -> object:
    return record_attestations(enclave_in(top), [world.folder / "scan.json"], operator=operator())


def _damage(top: Path) -> None:
    """Flip a byte of the newest weights at rest, in content and hence in the tree."""
    enclave = enclave_in(top)
    path = max(enclave.active.rglob("*.safetensors"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


def _revert(world: World, top: Path) -> None:
    """Leave links that are older than the ledger, as a disk does that lies about what it has synced."""
    link = (top / "enclave" / "policy.yaml").readlink()
    _set_policy(world, top)
    (top / "enclave" / "policy.yaml").unlink()
    (top / "enclave" / "policy.yaml").symlink_to(link)
    (top / "enclave" / "active").unlink()


def _repair(world: World, top: Path) -> object:
    return repair(enclave_in(top), world.volumes("2"), operator=operator())


def code_of(run: Run, top: Path) -> int | None:
    """Run a command; return the exit code of its AirliftError, or None if there was none."""
    try:
        run(top)
    except AirliftError as error:
        return error.exit_code
    return None
