"""No decision of policy is changed by what nobody signed, nor by a clock alone: seen while decisions are taken.

Every file that is opened meanwhile is one that the ledger names by digest, or whose signature was verified; a change
of any other changes no ruling; and a clock that is set back makes nothing fresh (SPEC 7.2-3, 8.2-1, 8.2-12, 9.8).
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from airlift.bundle import volume
from airlift.errors import AirliftError
from airlift.high.activation.activate import activate, roll_back
from airlift.high.enclave import age
from airlift.high.enclave.enclave import Enclave, Operator, open_enclave
from airlift.high.governance import gate, standing
from airlift.high.governance.approve import approve
from airlift.high.governance.floor import FloorRequest, set_floor
from airlift.high.governance.gate import Gate
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.preview import plan_import
from airlift.ledger import entry as entries
from airlift.ledger import kept_state
from airlift.ledger.entries.administration import Gc
from airlift.low.bundle.check_policy import check_policy
from airlift.low.depot.policy import set_policy
from airlift.trust.tuf import metadata, roles, root
from airlift.trust.tuf.metadata import ROOT
from tests.arch.tree import ROOT as REPOSITORY
from tests.steps.quick import quick
from tests.support import decision_flow, keys, revoking
from tests.support.depots import NOW, Site
from tests.support.enclaves import copy, flip, fresh, operator, overwrite, reseal, site, world

Rulings = Mapping[str, Any]
DIGEST = re.compile(rb"[0-9a-f]{128}")
SCRATCH = re.compile(r"airlift-[a-z0-9_]{8}")
HINTS = (volume.INDEX, volume.LABEL, volume.SUMS)
LATE = NOW + timedelta(days=100)
CLOCKS = (datetime(1970, 1, 1, tzinfo=UTC), NOW - timedelta(days=3650), NOW)
AGES = {"stale", "expired", "quorum-unmet"}
RELEASES = ("assistant@1", "assistant@2", "assistant@3")

POLICY = """\
airlift: 2
enclave: alpha
attestations: {approval: {threshold: 1, keys: [ann.pub, ben.pub], expires_after_days: 30}}
floors: {guard: "2.0"}
relay: {bravo: {ledger_key: bravo.pub, ceiling: {level: UNCLASSIFIED}}}
staleness: {refuse_new_after_days: %d}
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """An enclave in which there is something to decide, the media at hand, and the low side that they are of."""

    enclave: Enclave
    media: Mapping[str, list[Path]]
    low: Site

    def copy(self, folder: Path) -> Enclave:
        """Return a copy of the enclave that a test may change."""
        return open_enclave(copy(self.enclave.folder, folder / "enclave"))


class Planned(NamedTuple):
    """What a plan says: all that stands against it, every rule, and what would change."""

    objections: Sequence[Mapping[str, str]]
    rules: Sequence[Mapping[str, Any]]
    plan: object


@dataclass(frozen=True, slots=True)
class Refused:
    """How something was refused: exit code, code, and the codes of all that stands against it."""

    exit: int
    code: str
    told: tuple[str, ...]


@pytest.fixture(autouse=True, scope="module")
def _quick() -> Iterator[None]:
    with quick():
        yield


def prepare(folder: Path, **names: str) -> Scene:
    """Enrol an enclave with a policy that asks for much; of the media one revokes a guard of release 3.

    ``names`` are those of the world's bundles by what they are called here.
    """
    low = site(folder)
    keys.write(low.keys, "ann", "ben", "bravo")
    path = low.keys / "policy.yaml"
    path.write_text(POLICY % 60)
    place = fresh(folder / "enclave", low, policy=path)
    listed = [revoking.of_component(low.depot.load_release(_digest(low, "assistant@3")), "guard")]
    revoking.publish(low, listed)
    media = {name: list(world().bundles[bundle]) for name, bundle in {**names, "bravo": "bravo"}.items()}
    return Scene(place, {**media, "renewal": revoking.renewal(low, "renewal")}, low)


def _digest(low: Site, label: str) -> str:
    return next(item.digest for item in low.depot.releases() if item.label == label)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Return an enclave that holds two releases, one of them active and approved, and knows of a revocation."""
    made = prepare(tmp_path_factory.mktemp("decisions"), first="uncut", last="last", second="step")
    place, who = made.enclave, operator()
    import_bundle(place, made.media["first"], operator=who)
    for person in ("ann", "ben"):
        approve(place, "assistant@1", signer=keys.signer(person), operator=who)
    activate(place, "assistant@1", operator=who)
    import_bundle(place, made.media["last"], operator=who)
    import_bundle(place, made.media["renewal"], operator=who)
    return made


# -- what is read ----------------------------------------------------------------------------------------------------


def judged(folder: Path, kind: str) -> tuple[Enclave, dict[str, Any]]:
    """Run the flow in a process of its own; return the enclave and what was opened while it decided."""
    made = prepare(folder, first="full", second="next")
    stricter = made.low.keys / "stricter.yaml"
    stricter.write_text(POLICY % 10)
    described = {
        "enclave": str(made.enclave.folder),
        "keys": str(made.low.keys),
        "policy": str(stricter),
        "output": str(folder / "handed"),
        "first": _digest(made.low, "assistant@1"),
        "media": {name: [str(path) for path in paths] for name, paths in made.media.items()},
    }
    path = folder / "scene.json"
    path.write_text(json.dumps(described))
    command = [sys.executable, decision_flow.__file__, kind, str(path)]
    inherited = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": inherited}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return made.enclave, found


def unproven(place: Enclave, opened: list[list[str]]) -> list[str]:
    """Return what was opened that neither the ledger names nor anybody signed; the program itself aside."""
    program = {str(REPOSITORY), *map(os.path.realpath, (sys.prefix, sys.base_prefix)), sys.prefix}
    with place.ledger() as log:
        named = {digest.decode() for one in log.entries() for digest in DIGEST.findall(entries.format(one))}
        folders = {one.detail["trust"]["folder"] for one in log.entries(types=("import-commit",))}
    found = []
    for judge, text in opened:
        path = _path(text)
        inside = path.is_relative_to(place.folder)
        if inside and not _is_proven(place, path.relative_to(place.folder), named, folders):
            found.append(f"{judge} opened {path.relative_to(place.folder)}")
        elif not (
            inside or any(map(path.is_relative_to, program)) or _is_scratch(path) or _is_on_a_volume(path)
        ):
            found.append(f"{judge} opened {path}")
    return found


def _path(text: str) -> Path:
    """Return the file that was opened, by its path or as SQLite is told of it."""
    return Path(re.sub(r"\Afile:(//)?", "", text).partition("?")[0])


def _is_proven(place: Enclave, path: Path, named: set[str], folders: set[str]) -> bool:
    """Say whether a file of an enclave is the ledger, or named by it, or signed."""
    starts = {digest[:64] for digest in named}
    match path.parts:
        case ("ledger.db",):
            return True
        case ("policies", folder, _):
            return folder in starts
        case ("history", name):
            digest = hashlib.sha512((place.folder / path).read_bytes()).hexdigest()
            return digest in named and name.startswith(digest[:64])
        case ("trust", "roots", name):
            return int(name.partition(".")[0]) in verified_roots(place)
        case ("trust", folder, _):
            return folder in folders
        case ("relay", *_):
            return _is_on_a_volume(place.folder / path)
    return False


def verified_roots(place: Enclave) -> dict[int, bytes]:
    """Return the kept roots, which lead from the enrolled one on, each signed by the one before and by itself."""
    kept = place.load_roots()
    first = min(kept)
    assert root.fingerprint(kept[first]) == place.state().enrolled().root_fingerprint
    found = {first: kept[first]}
    for version in range(first + 1, max(kept) + 1):
        document, before = (metadata.check(ROOT, kept[number]) for number in (version, version - 1))
        for authority in (before, document):
            roles.of(authority, ROOT).demand(document, "root")
        found[version] = kept[version]
    return found


def _is_on_a_volume(path: Path) -> bool:
    """Say whether a file is one of a volume that a judge may read: what is signed, and hints."""
    folder = path.parent.name
    named = folder != volume.MANIFESTS or volume.manifest_name(_sha512(path)) == path.name
    return (folder in {volume.METADATA, volume.MANIFESTS} and named) or path.name in HINTS


def _is_scratch(path: Path) -> bool:
    """Say whether a file lies where TUF's client workflow gets its copies (SPEC 7.2-1)."""
    return path.is_relative_to(tempfile.gettempdir()) and any(map(SCRATCH.fullmatch, path.parts))


def _sha512(path: Path) -> str:
    return hashlib.sha512(path.read_bytes()).hexdigest()


def test_what_is_read_while_it_is_decided_is_signed_or_named_by_the_ledger(tmp_path: Path) -> None:
    place, found = judged(tmp_path, "plain")
    assert set(found["asked"]) == set(decision_flow.JUDGES), "the flow does not ask everybody who decides"
    assert unproven(place, found["opened"]) == []
    read = {
        _path(text).relative_to(place.folder).parts[0]
        for _, text in found["opened"]
        if str(place.folder) in text
    }
    assert read >= {"history", "policies", "trust"}, "the hook sees nothing"


def test_a_judge_that_reads_what_nobody_signed_is_found(tmp_path: Path) -> None:
    place, found = judged(tmp_path, "seeded")
    assert any(text.endswith("opened config.yaml") for text in unproven(place, found["opened"]))
    (place.folder / "history" / ("a" * 64)).write_text("{}")
    stray = [["a judge", str(place.folder / name)] for name in (f"history/{'a' * 64}", "state.json", "lock")]
    assert len(unproven(place, [*stray, ["a judge", "/etc/hostname"]])) == 4


# -- what changes a ruling -------------------------------------------------------------------------------------------


def rulings(place: Enclave, media: Mapping[str, list[Path]], now: datetime = NOW) -> Rulings:
    """Return everything that is decided about an enclave and these media; nothing is changed."""
    who, people = operator(now), [keys.signer(name) for name in ("ann", "ben")]
    found = {f"plan {name}": _said(partial(_planned, place, paths, now)) for name, paths in media.items()}
    for release in RELEASES:
        found[f"activate {release}"] = _said(partial(activate, place, release, operator=who, dry_run=True))
        found[f"approve {release}"] = _said(partial(_approvals, place, release, who))
    found["roll back"] = _said(partial(roll_back, place, operator=who, dry_run=True))
    for version in (None, "1.0", "2.0", "9.0"):
        asked = FloorRequest("guard", version, "why", people)
        found[f"floor {version}"] = _said(partial(set_floor, place, asked, operator=who, dry_run=True))
    return found


def _approvals(place: Enclave, release: str, who: Operator) -> object:
    said = approve(place, release, signer=keys.signer("ann"), operator=who, dry_run=True)
    return said.approvals, said.left_out


def _planned(place: Enclave, paths: list[Path], now: datetime) -> Planned:
    said = plan_import(place, paths, now)
    return Planned(said.objections, said.rules, said.plan)


def _said(ask: Callable[[], object]) -> object:
    """Return what was said, or how it was refused."""
    try:
        return ask()
    except AirliftError as error:
        told = (item["code"] for item in error.data.get("objections", ()))
        return Refused(error.exit_code, error.code, tuple(sorted(told)))


def changed(before: Rulings, after: Rulings) -> list[str]:
    """Return what is ruled otherwise, save what could not be told any more: proven bad, or not to be checked."""
    return [
        name
        for name, said in before.items()
        if after[name] != said and not (isinstance(after[name], Refused) and after[name].exit in {3, 7})
    ]


def _put(text: str, data: bytes = b"{}") -> Callable[[Enclave], None]:
    def put(place: Enclave) -> None:
        path = place.folder / text
        path.parent.mkdir(parents=True, exist_ok=True)
        overwrite(path, data)

    return put


def _forged_state(place: Enclave) -> None:
    """Keep a state without revocations and floors, signed, but not by the ledger's key."""
    state = replace(place.state(), revocations=(), floors=())
    with place.ledger() as log:
        made = kept_state.format(state, log.root(), log.origin, keys.signer("mallory"))
    place.state_path.write_bytes(made)


def _times(moment: int) -> Callable[[Enclave], None]:
    def set_times(place: Enclave) -> None:
        for path in place.folder.rglob("*"):
            if not path.is_symlink():
                os.utime(path, (moment, moment))

    return set_times


def _other_key(place: Enclave) -> None:
    path = place.folder / "config.yaml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("ledger_key")]
    path.write_text("\n".join(["# by hand", *lines, "ledger_key: elsewhere.key", ""]))


def _other_link(place: Enclave) -> None:
    place.active.unlink()
    place.active.symlink_to("releases/" + "0" * 64)


def _stray_in_a_release(place: Enclave) -> None:
    folder = next(path for path in place.releases.iterdir() if path.is_dir())
    (folder / "base" / "policy.yaml").write_text("airlift: 2\n")


ELSEWHERE: Mapping[str, Callable[[Enclave], None]] = {
    "kept state that is none": _put("state.note", b"airlift/alpha state 2\n"),
    "kept state of somebody else": _forged_state,
    "digest cache": _put("verified.json"),
    "staging": _put(f"staging/{'f' * 64}/bundle.json"),
    "what is remembered of staging": _put(f"staging/{'f' * 64}/staged.json", b"\xff" * 99),
    "a leftover of a killed command": _put("staging/.tmp-0123456789abcdef"),
    "what is kept to be handed on": _put(f"relay/{'f' * 64}/volume.json"),
    "the lock": _put("lock", b"\x01"),
    "the ledger's key": _other_key,
    "the link": _other_link,
    "a file in a release": _stray_in_a_release,
    "content of nobody": _put(f"content/ff/{'f' * 128}"),
    "a document of nobody": _put(f"history/{'f' * 64}.json"),
    "a policy of nobody": _put(f"policies/{'f' * 64}/policy.yaml", b"airlift: 1\nenclave: alpha\n"),
    "a trust state of nobody": _put("trust/99999999/timestamp.json"),
    "old times of files": _times(0),
    "new times of files": _times(4_000_000_000),
}  # fmt: skip


@pytest.fixture(scope="module")
def before(scene: Scene) -> Rulings:
    """Return what is decided while nothing was changed; of each kind something must be allowed and refused."""
    found = rulings(scene.enclave, scene.media)
    refused = {name.split()[0] for name, said in found.items() if isinstance(said, Refused)}
    allowed = {name.split()[0] for name, said in found.items() if not isinstance(said, Refused)}
    assert refused == {"plan", "activate", "floor", "approve", "roll"}
    assert allowed == {"plan", "activate", "floor", "approve"}
    assert {item["code"] for item in found["plan second"].objections} >= {"revoked", "quorum-unmet"}
    return found


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_nobody_signed_changes_no_ruling(
    scene: Scene, before: Rulings, tmp_path: Path, name: str
) -> None:
    place = scene.copy(tmp_path)
    ELSEWHERE[name](place)
    assert changed(before, rulings(open_enclave(place.folder), scene.media)) == []


def test_what_the_ledger_names_is_refused_once_it_is_changed(
    scene: Scene, before: Rulings, tmp_path: Path
) -> None:
    """A flipped bit in policy or history never passes for another ruling."""
    media = {"second": scene.media["second"]}
    for number, path in enumerate(_named(scene.enclave)):
        place = scene.copy(tmp_path / str(number))
        flip(place.folder / path, -2)
        after = rulings(open_enclave(place.folder), media)
        assert changed({name: before[name] for name in after}, after) == [], path


def _named(place: Enclave) -> list[Path]:
    """Return the policy, the documents and the trust state of an enclave."""
    folders = (place.folder / "policies", place.folder / "history", *place.trust.glob("0*"))
    found = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path.relative_to(place.folder) for path in found]


@pytest.mark.parametrize("hint", HINTS)
@pytest.mark.parametrize("offset", [0, 40, -2])
def test_hints_of_a_medium_change_no_ruling(
    scene: Scene, before: Rulings, tmp_path: Path, hint: str, offset: int
) -> None:
    folder = copy(scene.media["second"][0], tmp_path / "volume")
    data = bytearray((folder / hint).read_bytes())
    data[offset] ^= 1
    overwrite(folder / hint, bytes(data))
    _same_plan(scene, before, folder)
    if hint == volume.LABEL:
        reseal(folder)
        _same_plan(scene, before, folder)


def _same_plan(scene: Scene, before: Rulings, folder: Path) -> None:
    told = _said(partial(_planned, scene.enclave, [folder], NOW))
    assert changed({"plan": before["plan second"]}, {"plan": told}) == []


@pytest.mark.parametrize("claim", [{"bundle": "any-99"}, {"volumes": 9}, {"manifest": "0" * 128}])
def test_claims_of_a_medium_change_no_ruling(
    scene: Scene, before: Rulings, tmp_path: Path, claim: dict[str, Any]
) -> None:
    folder = copy(scene.media["second"][0], tmp_path / "volume")
    reseal(folder, **claim)
    _same_plan(scene, before, folder)
    (folder / ".DS_Store").write_bytes(b"seen")
    _same_plan(scene, before, folder)


def test_a_judge_that_heeds_what_nobody_signed_is_found(
    scene: Scene, before: Rulings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, judge = scene.copy(tmp_path), Gate.judge

    def heeding(self: Gate, release: Any, **more: Any) -> Any:
        return [] if self.enclave.state_path.exists() else judge(self, release, **more)

    monkeypatch.setattr(Gate, "judge", heeding)
    assert changed(before, rulings(place, scene.media)) == []
    ELSEWHERE["kept state that is none"](place)
    assert changed(before, rulings(place, scene.media)) != []


def test_the_low_side_decides_by_what_is_signed_as_well(tmp_path: Path) -> None:
    """What a depot remembers of files, and its log, say nothing of whether a release may be sent (SPEC L4.15)."""
    low = site(tmp_path)
    keys.write(low.keys, "ann")
    path = low.keys / "policy.yaml"
    path.write_text("airlift: 1\nattestations: {scan: {threshold: 1, keys: [ann.pub]}}\n")
    set_policy(low.depot, path, now=NOW)
    release = low.depot.load_release(_digest(low, "assistant@1"))

    def asked() -> object:
        return _said(partial(check_policy, low.depot, release, keys.signer("machine").public, NOW))

    told = asked()
    assert told == Refused(6, "quorum-unmet", ("quorum-unmet",))
    for name in ("verified.json", "log.jsonl", "lock", "root.json"):
        overwrite(low.depot.folder / name, b"{}")
        assert asked() == told


# -- the clock -------------------------------------------------------------------------------------------------------


def younger(place: Enclave, media: Mapping[str, list[Path]], late: datetime) -> list[str]:
    """Return what was refused for its age at ``late``, and is not once the clock is set back."""
    then = {name: _old(said) for name, said in rulings(place, media, late).items()}
    assert any(then.values()), "nothing is refused for its age"
    return [
        f"{name} at {clock:%Y}"
        for clock in CLOCKS
        for name, said in rulings(place, media, clock).items()
        if not then[name] <= _old(said)
    ]


def _old(said: object) -> set[str]:
    """Return the codes of age with which something is refused, or would be."""
    if isinstance(said, Refused):
        return {said.code, *said.told} & AGES
    return {item["code"] for item in said.objections} & AGES if isinstance(said, Planned) else set()


def test_a_clock_that_is_set_back_makes_nothing_fresh_that_the_ledger_saw(
    scene: Scene, tmp_path: Path
) -> None:
    place = scene.copy(tmp_path)
    place.record(operator(LATE), Gc(()))
    assert younger(place, {}, LATE) == []  # what comes in is judged by signed times alone: the next test


def test_a_clock_that_is_set_back_makes_nothing_fresh_that_is_signed(tmp_path: Path) -> None:
    """A renewal tells the time: what was issued long before it stays too old to come in, and approvals expired."""
    made = prepare(tmp_path, first="uncut", last="last")
    place, who = made.enclave, operator()
    import_bundle(place, made.media["first"], operator=who)
    approve(place, "assistant@1", signer=keys.signer("ann"), operator=who)
    import_bundle(place, revoking.renewal(made.low, "late", LATE), operator=operator(LATE))
    said = rulings(place, made.media, LATE)
    assert _old(said["plan last"]) >= {"expired"}
    assert _old(said["activate assistant@1"]) == {"quorum-unmet"}
    assert younger(place, made.media, LATE) == []


def test_a_judge_that_believes_the_clock_is_found(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = scene.copy(tmp_path)
    place.record(operator(LATE), Gc(()))
    for module, name in ((age, "latest_moment"), (standing, "latest_moment"), (gate, "reference_time")):
        monkeypatch.setattr(module, name, lambda _state, now, _keys: now)
    assert younger(place, {}, LATE) != []
