"""What a depot takes over from an enclave at its own level: all that it is there, and nothing that is only said."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from airlift import files
from airlift.bundle.component.component import Component
from airlift.bundle.component.waiver import Waiver
from airlift.bundle.fields import Marking
from airlift.bundle.release import Release
from airlift.bundle.revocations import Revocation
from airlift.errors import (
    AirliftError,
    BusyError,
    ContentDamagedError,
    ForbiddenFileError,
    LedgerError,
    ManifestError,
    MarkingError,
    NotHeldError,
    ProvenBadError,
    RevokedError,
    SignatureError,
    UncheckedError,
)
from airlift.high.activation.activate import activate
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.gc import collect_garbage
from airlift.high.importing.import_bundle import import_bundle
from airlift.intake import collect as gathering
from airlift.intake.gate.verdict import Objection
from airlift.ledger import audit
from airlift.ledger.enclave_folder import MAX_LOOKS, EnclaveFolder
from airlift.ledger.entry import format as format_entry
from airlift.low.authority.revoke import Asked, revoke
from airlift.low.release import take_over
from airlift.low.release.make_release import ReleaseResult, make_release
from airlift.low.returns.register import register
from airlift.trust.statements import model_signing
from tests.support import keys, revoking, vendor
from tests.support.depots import NOW, RELEASERS, Site, signed_site
from tests.support.enclaves import V1, V2, enclave, flip, fresh, operator, overwrite, picture
from tests.support.enclaves import site as low_side
from tests.support.ledgers import tamper

pytestmark = pytest.mark.usefixtures("quick_disk")

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Level:
    """A depot, and an enclave at its level: ``alpha``, which holds assistant@1 and runs assistant@2."""

    site: Site
    place: Enclave

    def manifest(
        self, source: dict[str, Any] | None = None, top: dict[str, Any] | None = None, **item: Any
    ) -> Path:
        """Write a manifest that takes over ``base``; the source leads to the enclave by a relative path."""
        where = {"enclave": f"../{self.place.folder.name}", "component": "base", **(source or {})}
        document = {
            "airlift": 1,
            "release": "relayed",
            "version": "1",
            "marking": {"level": "SECRET"},
            "components": [{"source": where, **item}],
            **(top or {}),
        }
        path = self.site.folder / "relayed.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    def release(self, *args: Any, **item: Any) -> ReleaseResult:
        signers = [keys.signer(name) for name in RELEASERS[:2]]
        return make_release(self.site.depot, self.manifest(*args, **item), signers=signers, now=NOW)

    def take(self, *args: Any, **item: Any) -> Component:
        """Return the component as it was released."""
        (component,) = self.site.depot.load_release(self.release(*args, **item).digest).components
        return component

    def refuse(self, error: type[AirliftError], exit_code: int, *args: Any, **item: Any) -> AirliftError:
        """Check that nothing is kept, and return why."""
        before = kept(self.site)
        with pytest.raises(error) as caught:
            self.release(*args, **item)
        assert caught.value.exit_code == exit_code
        assert caught.value.hint
        assert kept(self.site) == before
        return caught.value


def kept(site: Site) -> dict[str, str]:
    """Return the files of a depot: what is refused leaves none behind."""
    found = picture(site.folder / "depot")
    return {name: text for name, text in found.items() if name != "lock" and not text.endswith("folder")}


@pytest.fixture
def level(tmp_path: Path) -> Level:
    return Level(signed_site(tmp_path), enclave("two", tmp_path))


def active(place: Enclave) -> Release:
    digest = place.state().active
    assert digest is not None
    return place.load_release(digest)


# -- what it is ----------------------------------------------------------------------------------------------------


def test_it_is_what_it_is_there(level: Level) -> None:
    release = active(level.place)
    (there,) = [item for item in release.components if item.name == "base"]
    before = picture(level.place.folder)
    taken = level.take()
    assert picture(level.place.folder) == before, "the enclave is only read"
    assert (taken.name, taken.kind, taken.version, taken.files) == ("base", "model", "2", there.files)
    assert (taken.digest, taken.license, taken.parents) == (there.digest, there.license, there.parents)
    assert taken.marking == release.marking, "without a marking of its own it has its release's"
    for entry in taken.files:
        assert level.site.depot.content.path(entry.sha512).read_bytes() == V2["base"][entry.path]
    with level.place.ledger() as log:
        proven = audit.verify_log(log)
        (entry_,) = log.entries(types=("import-commit",), release=release.digest)
    assert taken.source == {
        "kind": "enclave",
        "enclave": "alpha",
        "release": {"digest": release.digest, "name": "assistant", "version": "2"},
        "component": "base",
        "entry": entry_.index,
        "size": proven.size,
        "root": proven.root.hex(),
        "origin": there.source,
    }


def test_a_release_is_chosen_by_name_or_digest(level: Level) -> None:
    older = level.place.find_release("assistant@1", level.place.state())
    for number, reference in enumerate((older.label, older.digest, older.digest[:12])):
        taken = level.take({"release": reference}, {"version": str(number)})
        assert taken.source["release"]["digest"] == older.digest
        assert {e.path: e.sha512 for e in taken.files} == {
            e.path: e.sha512 for e in older.components[0].files
        }


def test_the_manifest_may_name_it_otherwise_and_raise_its_marking(level: Level) -> None:
    taken = level.take(name="relayed-base", kind="model", version="2", marking={"level": "SECRET", "caveats": ["SI"]},
                       top={"marking": {"level": "SECRET", "caveats": ["SI"]}})  # fmt: skip
    assert (taken.name, taken.source["component"]) == ("relayed-base", "base")
    assert taken.marking == Marking("SECRET", ("SI",))


def test_two_of_one_enclave_and_one_of_a_path(level: Level) -> None:
    path = level.manifest()
    document = yaml.safe_load(path.read_text())
    document["components"] += [
        {"name": "words", "kind": "blocklist", "version": "1", "source": {"path": "words"}},
        {"source": {"enclave": str(level.place.folder), "component": "guard"}},
    ]
    (path.parent / "words").mkdir()
    (path.parent / "words/words.txt").write_text("a word\n")
    path.write_text(yaml.safe_dump(document))
    done = make_release(level.site.depot, path, signers=[keys.signer(RELEASERS[0])], now=NOW)
    base, guard, words = level.site.depot.load_release(done.digest).components
    assert [item.source["kind"] for item in (base, guard, words)] == ["enclave", "enclave", "path"]
    assert (base.source["size"], base.source["root"]) == (guard.source["size"], guard.source["root"])
    assert words.marking is None


def test_the_same_again_is_the_same_release(level: Level) -> None:
    first = level.release()
    again = level.release()
    assert (again.digest, again.already) == (first.digest, True)


def test_a_dry_run_keeps_nothing(level: Level) -> None:
    before = kept(level.site)
    done = make_release(level.site.depot, level.manifest(), now=NOW, dry_run=True)
    assert done.new_bytes == sum(len(data) for data in V2["base"].values())
    assert any("taken over from enclave alpha" in line for line in done.differences)
    assert kept(level.site) == before


# -- what the manifest may not say ---------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"kind": "guard"}, {"version": "3"}])
def test_it_is_of_no_other_kind_or_version(level: Level, change: dict[str, str]) -> None:
    (key,) = change
    error = level.refuse(ManifestError, 2, **change)
    assert f"its {key} is another one in enclave alpha" in error.message
    assert error.found == change[key]


@pytest.mark.parametrize(
    "change",
    [
        {"license": "MIT"},
        {"parents": []},
        {"accept": [{"what": "code", "reason": "read"}]},
        {"replaces": ["old"]},
        {"vendor_signature": {"path": "model.sig", "public_key": "vendor.pub"}},
    ],
)
def test_what_is_taken_over_is_not_said_again(level: Level, change: dict[str, Any]) -> None:
    (key,) = change
    assert f"`{key}` is taken over" in level.refuse(ManifestError, 2, **change).message


@pytest.mark.parametrize(
    "source", [{"include": ["*"]}, {"exclude": ["*.pt"]}, {"path": "x"}, {"release": ""}]
)
def test_a_source_says_no_more_than_where_it_is(level: Level, source: dict[str, Any]) -> None:
    level.refuse(ManifestError, 2, source)


def test_its_marking_is_not_lowered(level: Level) -> None:
    """THREATS, rules: a source taken from an enclave with its marking lowered."""
    error = level.refuse(MarkingError, 6, marking={"level": "COSMIC"}, top={"marking": {"level": "COSMIC"}})
    assert (error.code, error.expected, error.found) == (
        "marking-refused", "UNCLASSIFIED, or what covers it", "COSMIC",
    )  # fmt: skip


def test_the_release_is_not_marked_below_it(level: Level) -> None:
    level.refuse(ManifestError, 2, marking={"level": "TOP SECRET"})


@pytest.mark.parametrize("what", ["component", "file"])
def test_what_is_revoked_there_does_not_run_elsewhere(level: Level, tmp_path: Path, what: str) -> None:
    """THREATS, rules: a revoked guard that comes back by another way; another authority lists nothing of it."""
    low = low_side(tmp_path / "other")
    (there,) = [item for item in active(level.place).components if item.name == "base"]
    digest = there.digest if what == "component" else next(f.sha512 for f in there.files if f.path == WEIGHTS)
    revoking.publish(low, [Revocation(what, digest, "a back door", 1, "compromise")])
    import_bundle(level.place, revoking.renewal(low, "renewal"), operator=operator())
    assert level.place.state().active != active_before(level), "it gave way"
    error = level.refuse(RevokedError, 6, {"release": "assistant@2"})
    assert "is revoked: a back door" in error.message
    assert level.take({"component": "guard", "release": "assistant@2"}).name == "guard", "the rest of it may"


def test_what_a_revoked_release_had_does_not_run_elsewhere(level: Level, tmp_path: Path) -> None:
    """THREATS, rules: a revoked guard that comes back by another way: its release was revoked, and not it."""
    low = low_side(tmp_path / "other")
    digest = active(level.place).digest
    revoking.publish(low, [Revocation("release", digest, "a back door", 1, "compromise")])
    import_bundle(level.place, revoking.renewal(low, "renewal"), operator=operator())
    error = level.refuse(RevokedError, 6, {"component": "guard", "release": "assistant@2"})
    assert "release assistant@2 is revoked: a back door" in error.message


@pytest.mark.parametrize("way", ["active/base", "releases", "link"])
def test_an_enclave_is_no_folder_like_any_other(level: Level, tmp_path: Path, way: str) -> None:
    """THREATS, rules: a source taken from an enclave with its marking lowered, by naming its files."""
    there = {
        "active/base": level.place.active / "base",
        "releases": next(level.place.releases.iterdir()) / "base",
    }
    if way == "link":
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / WEIGHTS).symlink_to(level.place.active / "base" / WEIGHTS)
    path = there.get(way, tmp_path / "mine")
    item = {"name": "mine", "kind": "model", "version": "1", "source": {"path": str(path)}}
    manifest = level.manifest(top={"components": [item], "marking": {"level": "UNCLASSIFIED"}})
    before = kept(level.site)
    with pytest.raises(ManifestError, match="its source lies in an enclave") as caught:
        make_release(level.site.depot, manifest, signers=[keys.signer(RELEASERS[0])], now=NOW)
    assert f"enclave: {level.place.folder}" in caught.value.hint
    assert kept(level.site) == before


def active_before(level: Level) -> str:
    """Return the digest of what the enclave ran before something of it was revoked."""
    return level.place.find_release("assistant@2", level.place.state()).digest


# -- what is not there ---------------------------------------------------------------------------------------------


def test_what_is_not_held(level: Level, tmp_path: Path) -> None:
    assert "no component other" in level.refuse(NotHeldError, 5, {"component": "other"}).message
    level.refuse(NotHeldError, 5, {"release": "assistant@3"})
    level.refuse(UncheckedError, 7, {"enclave": "nowhere"})
    empty = fresh(tmp_path / "empty", low_side(tmp_path / "other"))
    error = level.refuse(NotHeldError, 5, {"enclave": str(empty.folder)})
    assert "no release is active" in error.message


# -- what was changed ----------------------------------------------------------------------------------------------


def content(place: Enclave, path: str = WEIGHTS) -> Path:
    (found,) = [entry.sha512 for c, entry in active(place).files() if (c.name, entry.path) == ("base", path)]
    return place.content.path(found)


def edit(place: Enclave) -> None:
    """Change the holder of a key in an entry, as somebody who has the file and not the key."""
    with place.ledger() as log:
        commits = list(log.entries(types=("import-commit",)))
    old = format_entry(commits[-1])
    assert b"dan" in old
    new = old.replace(b"dan", b"eve")
    tamper(place.ledger_path, ("UPDATE entries SET data = ? WHERE idx = ?", (new, commits[-1].index)))


HARMS: dict[str, tuple[Callable[[Enclave], object], type[AirliftError]]] = {
    "a byte of weights": (lambda place: flip(content(place), -1), ContentDamagedError),
    "a header of weights": (lambda place: flip(content(place), 8), ContentDamagedError),
    "a file cut short": (lambda place: overwrite(content(place, "LICENSE"), b"short"), ContentDamagedError),
    "a file that is gone": (lambda place: content(place).unlink(), ContentDamagedError),
    "a manifest": (lambda place: flip(place.history.path(active(place).digest), 99), LedgerError),
    "a manifest that is gone": (lambda place: place.history.path(active(place).digest).unlink(), LedgerError),
    "an entry": (edit, LedgerError),
    "the enclave's name": (
        lambda place: (place.folder / "config.yaml").write_text(
            "airlift: 1\nenclave: bravo\nledger_key: k\n"
        ),
        LedgerError,
    ),
}


@pytest.mark.parametrize("harm", HARMS)
def test_an_enclave_that_was_tampered_with(level: Level, harm: str) -> None:
    change, error = HARMS[harm]
    change(level.place)
    assert isinstance(level.refuse(error, 3), ProvenBadError)


def test_a_ledger_that_is_kept_with_another_key_than_was_enrolled(level: Level) -> None:
    keys.write(level.site.keys, "other", "ledger")
    register(level.site.depot, "alpha", ledger_key=level.site.keys / "other.pub", now=NOW)
    assert "is kept with another key" in level.refuse(LedgerError, 3).message
    (level.site.depot.enclaves / "alpha.json").unlink()
    register(level.site.depot, "alpha", ledger_key=level.site.keys / "ledger.pub", now=NOW)
    assert level.take().source["enclave"] == "alpha"


# -- meanwhile -----------------------------------------------------------------------------------------------------


def test_an_enclave_that_changes_meanwhile_is_read_again(
    level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, switched = audit.verify_log, list[str]()

    def verify_log(*given: Any) -> audit.Audit:
        found = real(*given)
        if not switched:
            switched.append("assistant@1")
            activate(level.place, "assistant@1", operator=operator())
        return found

    monkeypatch.setattr(audit, "verify_log", verify_log)
    taken = level.take()
    assert switched
    assert taken.source["release"]["version"] == "1", "what is active when it is read to the end"
    with level.place.ledger() as log:
        assert (taken.source["size"], taken.source["root"]) == (log.size, log.root().hex())


def test_an_enclave_that_changes_all_the_time_is_busy(level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    real, number = EnclaveFolder.load_release, iter(range(100))

    def load_release(place: EnclaveFolder, digest: str) -> Release:
        if type(place) is EnclaveFolder:  # not while the other command works
            activate(level.place, f"assistant@{1 + next(number) % 2}", operator=operator())
        return real(place, digest)

    monkeypatch.setattr(EnclaveFolder, "load_release", load_release)
    level.refuse(BusyError, 7)
    assert next(number) == MAX_LOOKS


def test_what_is_taken_over_is_not_collected_meanwhile(level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tried = gathering.collect, list[bool]()

    def collect(*given: Any, **more: Any) -> Any:
        with pytest.raises(BusyError):
            collect_garbage(level.place, keep=1, operator=operator())
        tried.append(True)
        return real(*given, **more)

    monkeypatch.setattr(take_over, "collect", collect)
    level.take({"release": "assistant@1"})
    assert tried
    collect_garbage(level.place, keep=1, operator=operator())


def test_unfinished_work_there_is_no_obstacle(level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as crash:
        crash.setattr(files, "point_link", die)
        with pytest.raises(KeyboardInterrupt):
            activate(level.place, "assistant@1", operator=operator())
    assert level.place.state().open
    assert level.take().source["release"]["version"] == "2"


# -- what it brings along ------------------------------------------------------------------------------------------

CODE = b'{"layers": 2, "auto_map": {"AutoModel": "modeling.M"}}'


def imported(tmp_path: Path, change: Callable[[Path, dict[str, Any]], None], policy: str = "") -> Enclave:
    """Return an enclave that runs a release whose component ``base`` is authored with some change."""
    low, place = low_side(tmp_path / "first"), enclave("one", tmp_path)
    path = low.manifest(V1, "7", kinds={"guard": "guard"})
    document = yaml.safe_load(path.read_text())
    change(path.parent, document["components"][0])
    path.write_text(yaml.safe_dump(document))
    make_release(low.depot, path, signers=[keys.signer(name) for name in RELEASERS[:2]], now=NOW)
    (item,) = low.bundle("assistant@7", "seven", from_="assistant@1").volumes
    (tmp_path / "policy.yaml").write_text(f"airlift: 2\nenclave: alpha\n{policy}")
    change_policy(place, tmp_path / "policy.yaml", operator=operator())
    import_bundle(place, [item.path], operator=operator(), activate=True)
    return place


def waive(folder: Path, item: dict[str, Any]) -> None:
    (folder / "base/nested/config.json").write_bytes(CODE)
    item["accept"] = [{"what": "remote-code", "reason": "Two people have read it."}]
    item |= {"license": "MIT", "replaces": ["old-base"]}


def test_its_waivers_come_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    level = Level(signed_site(tmp_path), imported(tmp_path, waive, "waivers: [{what: remote-code}]\n"))
    taken = level.take()
    assert taken.accept == (Waiver("remote-code", "Two people have read it.", ("nested/config.json",)),)
    assert (taken.license, taken.replaces) == ("MIT", ("old-base",))
    real = gathering.collect

    def stricter(*given: Any, **more: Any) -> Any:
        found = real(*given, **more)
        return replace(found, met=(*found.met, Objection("remote-code", "LICENSE", "LICENSE loads code")))

    monkeypatch.setattr(take_over, "collect", stricter)
    error = level.refuse(ForbiddenFileError, 2, top={"version": "2"})
    assert "LICENSE loads code" in error.message, "a waiver covers what it names"


def test_what_the_gate_objects_to_is_not_taken_over(level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: Any, **__: Any) -> Any:
        raise ForbiddenFileError("component base: LICENSE is a program")

    monkeypatch.setattr(take_over, "collect", refusing)
    assert "is a program" in level.refuse(ForbiddenFileError, 2).message


def sign(folder: Path, item: dict[str, Any]) -> None:
    (folder / "model.sig").write_bytes(vendor.sign({k: v for k, v in V1["base"].items() if k != "LICENSE"}))
    (folder / "vendor.pub").write_bytes(vendor.public())
    (folder / "base/LICENSE").unlink()
    item["vendor_signature"] = {"path": "model.sig", "public_key": "vendor.pub"}


def test_its_vendors_signature_comes_along_and_is_verified_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    level = Level(signed_site(tmp_path), imported(tmp_path, sign))
    with monkeypatch.context() as doubt:
        original = model_signing.verify_model

        def failing(data: bytes, *given: Any) -> Any:
            return original(data.replace(b'"sig": "M', b'"sig": "N'), *given)

        doubt.setattr(model_signing, "verify_model", failing)
        assert "component base" in level.refuse(SignatureError, 3).message
    stated = active(level.place).components[0].vendor_signature
    assert stated is not None
    assert level.take().vendor_signature == stated
    assert level.site.depot.documents.load(stated.sha512) == level.place.history.load(stated.sha512)


def test_what_is_revoked_here_is_not_taken_over(level: Level) -> None:
    taken = level.take()
    signers = [keys.signer(name) for name in RELEASERS[:2]]
    revoke(
        level.site.depot, Asked((f"{taken.name}@{taken.version}",), "a back door"), signers=signers, now=NOW
    )
    level.refuse(RevokedError, 6, top={"version": "2"})


def of_guard(_folder: Path, item: dict[str, Any]) -> None:
    item["parents"] = [{"component": "guard", "relation": "derived-from"}]


def test_a_parent_that_is_not_held_here_is_revoked_by_its_name(tmp_path: Path) -> None:
    """The depot took over what was made of it, and is the only one who can say so to those that it serves."""
    level = Level(signed_site(tmp_path), imported(tmp_path, of_guard))
    (parent,) = level.take().parents
    assert (parent.name, parent.version) == ("guard", "7")
    signers = [keys.signer(name) for name in RELEASERS[:2]]
    done = revoke(level.site.depot, Asked(("guard@7",), "a back door"), signers=signers, now=NOW)
    assert done.published
    error = level.refuse(RevokedError, 6, top={"version": "2"})
    assert error.message == "component guard 7 (parent of base) is revoked: a back door"
