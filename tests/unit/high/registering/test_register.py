"""What is trained inside joins a held release, under policy's eye, and is a release like any other (SPEC 8.6)."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from airlift.bundle.component import source
from airlift.bundle.fields import Marking
from airlift.errors import (
    AirliftError,
    ExistsError,
    FloorError,
    ForbiddenFileError,
    ManifestError,
    MarkingError,
    NotHeldError,
    QuorumError,
    RegistrationError,
    RequirementError,
    RevokedError,
    StorageError,
    WaiverError,
)
from airlift.evidence import controls
from airlift.high.activation.activate import activate, roll_back
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.check_content import check_content
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.gc import collect_garbage
from airlift.high.enclave.status import enclave_status, list_releases
from airlift.high.governance.approve import approve
from airlift.high.governance.floor import FloorRequest, set_floor
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.preview import plan_import
from airlift.high.record import questions
from airlift.high.record.changes import find_changes
from airlift.high.record.gather import gather_facts
from airlift.high.record.receipt import issue_receipt
from airlift.high.record.verify_ledger import verify_ledger
from airlift.high.registering import register as register_module
from airlift.high.registering.register import RegisterResult, register
from airlift.ledger import details
from airlift.ledger.entries.registration import Registration
from tests.support import keys, revoking, weights
from tests.support.depots import NOW
from tests.support.enclaves import enclave, operator, picture, served, site, take, world

pytestmark = pytest.mark.usefixtures("quick_disk")

SECRET, CUI = {"level": "SECRET"}, {"level": "CUI"}
CASES = {"name": "cases", "version": "3", "marking": CUI}
ADAPTER: dict[str, Any] = {
    "name": "cases",
    "kind": "adapter",
    "version": "1",
    "source": {"path": "cases"},
    "license": "internal",
    "parents": [{"component": "base", "relation": "adapter-of"}],
    "data": [CASES],
}
PERMITS = "register: [adapter, model]\nmarking: {ceiling: {level: SECRET, caveats: [NOFORN]}}\n"


@pytest.fixture
def place(tmp_path: Path) -> Enclave:
    """Return an enclave that runs release 2, holds 1, and lets adapters and models be registered."""
    found = enclave("two", tmp_path)
    policy(found, tmp_path)
    return found


def policy(place: Enclave, folder: Path, text: str = PERMITS) -> None:
    (folder / "policy.yaml").write_text(f"airlift: 2\nenclave: alpha\n{text}")
    change_policy(place, folder / "policy.yaml", operator=operator())


def write(folder: Path, *components: dict[str, Any], **more: Any) -> Path:
    """Write a registration of an adapter, or of ``components``, with weights of a ``seed``; ``more`` are its keys."""
    listed, seed = components or (ADAPTER,), int(more.pop("seed", 7))
    for number, item in enumerate(listed):
        files = {"adapter.safetensors": weights.weights(seed + number), "notes.txt": b"trained here\n"}
        weights.component(folder / item["source"]["path"], files)
    path = folder / "registration.yaml"
    path.write_text(yaml.safe_dump({"airlift": 1, "components": list(listed), **more}, sort_keys=False))
    return path


def registered(place: Enclave, path: Path, **more: Any) -> RegisterResult:
    return register(place, path, operator=operator(), **more)


def refused(place: Enclave, path: Path, error: type[AirliftError]) -> AirliftError:
    """Return the refusal of a registration, after which nothing is different."""
    before, size = files_of(served(place)), place.state().size
    with pytest.raises(error) as caught:
        registered(place, path)
    assert (files_of(served(place)), place.state().size) == (before, size)
    assert type(caught.value) is error
    return caught.value


def files_of(found: dict[str, str]) -> dict[str, str]:
    """Leave out folders: an empty one of content stays."""
    return {path: text for path, text in found.items() if not text.endswith(" folder")}


def test_an_adapter_joins_the_active_release(place: Enclave, tmp_path: Path) -> None:
    before = place.load_release(place.state().active or "")
    made = registered(place, write(tmp_path))
    assert (made.release, made.base, made.already) == ("assistant@2+cases.1", "assistant@2", False)
    assert made.registered == ("cases@1",)
    release = place.load_release(made.digest)
    assert place.state().installed[-1] == release.digest
    assert (release.marking, made.marking) == (Marking("CUI"), {"level": "CUI", "caveats": []})
    assert {c.name: c.marking for c in release.components} == {
        "base": Marking("UNCLASSIFIED"), "guard": Marking("UNCLASSIFIED"), "cases": Marking("CUI"),
    }  # fmt: skip
    (inside,) = (c for c in release.components if c.name == "cases")
    (parent,) = inside.parents
    base = next(c for c in before.components if c.name == "base")
    assert (parent.relation, parent.name, parent.digest) == ("adapter-of", "base", base.digest)
    assert inside.source == {"kind": source.REGISTERED, "enclave": "alpha"}
    assert [(one.name, one.version, one.marking, one.sha512) for one in inside.data] == [
        ("cases", "3", Marking("CUI"), "")
    ]
    with place.ledger() as log:
        entry = log.entry(made.entry or 0)
    said = details.read(entry, Registration)
    assert (entry.release, said.base.digest, said.registered) == (release.digest, before.digest, ("cases",))
    activate(place, made.release, operator=operator())
    assert (place.active / "cases/notes.txt").read_bytes() == b"trained here\n"
    assert (place.active / "base").is_dir()
    assert (place.active / "guard").is_dir()
    roll_back(place, operator=operator())
    check_content(place)
    assert verify_ledger(place, public_key=keys.signer("ledger").public).ok


def test_again_is_no_error_and_a_dry_run_is_nothing(place: Enclave, tmp_path: Path) -> None:
    path = write(tmp_path)
    before = picture(place.folder)
    planned = registered(place, path, dry_run=True)
    assert (planned.entry, planned.already, picture(place.folder) == before) == (None, False, True)
    made = registered(place, path)
    assert made.digest == planned.digest
    again, size = registered(place, path), place.state().size
    assert (again.digest, again.already, again.entry, again.new_bytes) == (made.digest, True, None, 0)
    assert place.state().size == size


def test_policy_permits_kinds(place: Enclave, tmp_path: Path) -> None:
    path = write(tmp_path)
    policy(place, tmp_path, "register: [model]\nmarking: {ceiling: {level: SECRET}}\n")
    error = refused(place, path, RegistrationError)
    assert (error.expected, error.found) == ("register: [adapter] in the policy", "model")
    policy(place, tmp_path)
    made = registered(place, path)
    policy(place, tmp_path, "marking: {ceiling: {level: SECRET}}\n")
    with pytest.raises(RegistrationError) as caught:
        activate(place, made.release, operator=operator())
    assert caught.value.found == "nothing"
    policy(place, tmp_path)
    activate(place, made.release, operator=operator())
    policy(place, tmp_path, "marking: {ceiling: {level: SECRET}}\n")
    assert any("trained inside" in warning for warning in enclave_status(place, NOW).warnings)


@pytest.mark.parametrize("kind", ["guard", "policy", "blocklist", "prompt", "tokenizer", "data"])
def test_the_safety_stack_comes_from_the_release_authority(place: Enclave, tmp_path: Path, kind: str) -> None:
    refused(place, write(tmp_path, {**ADAPTER, "kind": kind}), ManifestError)


def test_a_marking_is_raised_and_never_lowered(place: Enclave, tmp_path: Path) -> None:
    noforn = {"level": "CUI", "caveats": ["NOFORN"]}
    highest = {"level": "SECRET", "caveats": ["NOFORN"]}
    made = registered(place, write(tmp_path, {**ADAPTER, "marking": highest}))
    assert made.marking == highest
    second = {**ADAPTER, "version": "2"}
    error = refused(place, write(tmp_path, {**second, "marking": {"level": "UNCLASSIFIED"}}), MarkingError)
    assert (error.expected, error.found) == ("at least CUI", "UNCLASSIFIED")
    caveat = {**second, "data": [{**CASES, "marking": noforn}], "marking": SECRET}
    assert refused(place, write(tmp_path, caveat), MarkingError).expected == "at least CUI//NOFORN"
    above = {**second, "data": [{**CASES, "marking": {"level": "TOP SECRET"}}]}
    error = refused(place, write(tmp_path, above), MarkingError)
    assert (error.expected, error.found) == ("SECRET//NOFORN", "TOP SECRET")


def test_a_copy_is_not_marked_below_what_it_is_a_copy_of(place: Enclave, tmp_path: Path) -> None:
    """THREATS, rules: a registered component with a marking below its parents', which it does not name."""
    first = {**ADAPTER, "data": [{**CASES, "marking": SECRET}]}
    made = registered(place, write(tmp_path, first))
    activate(place, made.release, operator=operator())
    low = [{**CASES, "marking": {"level": "UNCLASSIFIED"}}]
    copy = {key: value for key, value in ADAPTER.items() if key != "parents"} | {
        "name": "copied",
        "data": low,
    }
    error = refused(place, write(tmp_path, copy), MarkingError)
    assert "adapter.safetensors of component copied is a file of component cases" in error.message
    assert (error.expected, error.found) == ("at least SECRET", "UNCLASSIFIED")
    raised = registered(place, write(tmp_path, {**copy, "marking": SECRET}))
    assert {c["name"]: c["marking"] for c in raised.components}["copied"] == "SECRET"
    own = {**copy, "name": "own", "source": {"path": "own", "exclude": ["notes.txt"]}}
    found = registered(place, write(tmp_path, own, seed=99))
    assert {c["name"]: c["marking"] for c in found.components}["own"] == "UNCLASSIFIED"


def test_the_marking_of_a_parent_that_was_trained_inside_counts(place: Enclave, tmp_path: Path) -> None:
    tuned = {
        "name": "tuned", "kind": "model", "version": "1", "source": {"path": "tuned"},
        "parents": [{"component": "base", "relation": "tuned-from"}], "data": [{**CASES, "marking": SECRET}],
    }  # fmt: skip
    upon = {**ADAPTER, "parents": [{"component": "tuned", "relation": "adapter-of"}], "data": [CASES]}
    made = registered(place, write(tmp_path, tuned, upon))
    release = place.load_release(made.digest)
    inside = {c.name: c for c in release.components}
    assert (inside["cases"].marking, release.marking) == (Marking("SECRET"), Marking("SECRET"))
    assert {(p.relation, p.name) for p in inside["cases"].parents} == {
        ("adapter-of", "tuned"), ("derived-from", "base"),
    }  # fmt: skip
    loop = {**tuned, "parents": [{"component": "cases", "relation": "tuned-from"}]}
    refused(place, write(tmp_path, loop, upon, version="9"), ManifestError)


def test_parents_are_held_and_what_is_made_comes_from_something(place: Enclave, tmp_path: Path) -> None:
    for parents in (
        [{"component": "other", "relation": "adapter-of"}],
        [{"component": "base", "relation": "adapter-of", "version": "9"}],
    ):
        refused(place, write(tmp_path, {**ADAPTER, "parents": parents}), NotHeldError)
    bare = {key: value for key, value in ADAPTER.items() if key not in {"parents", "data"}}
    refused(place, write(tmp_path, bare), ManifestError)
    older = [{"component": "base", "relation": "adapter-of", "version": "1"}]
    made = registered(place, write(tmp_path, {**ADAPTER, "parents": older}))
    (inside,) = (c for c in place.load_release(made.digest).components if c.name == "cases")
    first = place.find_release("assistant@1", place.state())
    assert inside.parents[0].digest == next(c.digest for c in first.components if c.name == "base")
    refused(place, write(tmp_path, **{"from": "assistant@9"}), NotHeldError)


def test_names_of_the_release_authority_are_taken(place: Enclave, tmp_path: Path) -> None:
    named = {**ADAPTER, "name": "base", "kind": "model", "version": "9"}
    refused(place, write(tmp_path, named), ManifestError)
    tuned = [{"component": "guard", "relation": "tuned-from"}]
    refused(place, write(tmp_path, {**named, "parents": tuned}, without=["base"]), ExistsError)
    refused(place, write(tmp_path, {**named, "name": "guard"}), ManifestError)
    refused(place, write(tmp_path, release="assistant", version="1"), ExistsError)
    registered(place, write(tmp_path))
    refused(place, write(tmp_path, seed=70, version="5"), ExistsError)


def test_only_models_and_adapters_are_left_out_and_guards_go_along(tmp_path: Path) -> None:
    low = site(tmp_path)
    place = enclave("two", tmp_path)
    policy(place, tmp_path)
    needs = [{"component": "base", "needs": "guard", "version": ">=2"}]
    low.release(
        {"base": {"m.safetensors": weights.weights(3)}, "guard": {"g.safetensors": weights.weights(4)}},
        "4", versions={"guard": "2.3"}, kinds={"guard": "guard"}, requires=needs,
    )  # fmt: skip
    made = low.bundle("assistant@4", "four", from_="none")
    import_bundle(place, [item.path for item in made.volumes], operator=operator(), activate=True)
    tuned = {
        **ADAPTER, "name": "tuned", "kind": "model", "parents": [{"component": "base", "relation": "tuned-from"}],
    }  # fmt: skip
    error = refused(place, write(tmp_path, tuned, without=["guard"]), ManifestError)
    assert error.found == "guard"
    result = registered(place, write(tmp_path, tuned, without=["base"]))
    release = place.load_release(result.digest)
    assert [c.name for c in release.components] == ["guard", "tuned"]
    assert [(r.component, r.needs, r.version) for r in release.requires] == [("tuned", "guard", ">=2")]
    activate(place, result.release, operator=operator())
    upon = {**ADAPTER, "parents": [{"component": "tuned", "relation": "adapter-of"}]}
    second = registered(place, write(tmp_path, upon))
    found = place.load_release(second.digest)
    assert ("cases", "guard", ">=2") in [(r.component, r.needs, r.version) for r in found.requires]
    assert second.base == result.release


def test_what_is_carried_over_joins_the_next_release(place: Enclave, tmp_path: Path) -> None:
    first = registered(place, write(tmp_path))
    take(place, "step")
    path = tmp_path / "carry.yaml"
    path.write_text('airlift: 1\nfrom: assistant@3\ncarry: ["cases@1"]\n')
    made = registered(place, path)
    assert (made.release, made.new_bytes, made.registered) == ("assistant@3+cases.1", 0, ("cases@1",))
    ours = {c.digest for c in place.load_release(first.digest).components if c.name == "cases"}
    assert ours < {c.digest for c in place.load_release(made.digest).components}
    path.write_text('airlift: 1\nfrom: assistant@3\ncarry: ["base@1"]\n')
    refused(place, path, NotHeldError)


def test_whoever_switches_is_told_what_is_left_behind(place: Enclave, tmp_path: Path) -> None:
    made = registered(place, write(tmp_path))
    assert activate(place, made.release, operator=operator()).left_behind == ()
    assert enclave_status(place, NOW).registered == (made.release,)
    planned = plan_import(place, world().bundles["step"], NOW)
    result = take(place, "step", activate=True)
    assert planned.left_behind == result.left_behind == ("cases@1",)
    assert roll_back(place, operator=operator()).left_behind == ()
    assert roll_back(place, operator=operator()).left_behind == ("cases@1",)


def test_a_later_version_takes_the_place_of_the_one_before(place: Enclave, tmp_path: Path) -> None:
    first = registered(place, write(tmp_path))
    second = registered(
        place, write(tmp_path, {**ADAPTER, "version": "2"}, seed=70, **{"from": first.release})
    )
    assert second.registered == ("cases@2",)
    assert second.release == "assistant@2+cases.1.cases.2"


def test_the_gate_is_asked(place: Enclave, tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "cases/optimizer.pt").write_bytes(b"\x80\x04K\x01.")
    refused(place, path, ForbiddenFileError)
    waived = {**ADAPTER, "accept": [{"what": "pickle", "reason": "an optimiser, looked at"}]}
    error = refused(place, write(tmp_path, waived), WaiverError)
    assert "pickle" in (error.expected or "")
    policy(place, tmp_path, PERMITS + "waivers: [{what: pickle, component: cases}]\n")
    assert registered(place, write(tmp_path, waived)).files == 3
    without = {**ADAPTER, "version": "2", "source": {"path": "cases", "exclude": ["*.pt"]}}
    assert registered(place, write(tmp_path, without, version="7")).left_out == ("cases/optimizer.pt",)


def test_floors_requirements_revocations_and_quorums_hold(tmp_path: Path) -> None:
    low = site(tmp_path)
    place = enclave("two", tmp_path)
    policy(place, tmp_path)
    made = registered(place, write(tmp_path))
    activate(place, made.release, operator=operator())
    roll_back(place, operator=operator())
    for text, error in (
        ('floors: {cases: "2"}\n', FloorError),
        ('requires: [{kind: adapter, needs: guard, version: ">=9"}]\n', RequirementError),
    ):
        other = enclave("two", tmp_path / error.__name__)
        policy(other, tmp_path, PERMITS + text)
        again = registered(other, write(tmp_path, {**ADAPTER, "data": [CASES]}))
        with pytest.raises(error):
            activate(other, again.release, operator=operator())
    keys.write(tmp_path, "officer-ed")
    policy(place, tmp_path, PERMITS + "attestations: {approval: {threshold: 1, keys: [officer-ed.pub]}}\n")
    with pytest.raises(QuorumError):
        activate(place, made.release, operator=operator())
    approve(place, made.release, signer=keys.signer("officer-ed"), operator=operator())
    activate(place, made.release, operator=operator())
    policy(place, tmp_path, PERMITS)
    base = place.find_release("assistant@2", place.state())
    revoking.publish(low, [revoking.of_component(base, "base")])
    import_bundle(place, revoking.renewal(low, "renewed"), operator=operator())
    with pytest.raises(RevokedError, match="base"):
        activate(place, made.release, operator=operator())


def test_a_floor_reaches_what_was_made_of_what_is_below_it(place: Enclave, tmp_path: Path) -> None:
    """Of base 2 something may be made, of base 1 not, whether base is there or not."""
    tuned = {**ADAPTER, "name": "tuned", "kind": "model"}
    older = [{"component": "base", "relation": "tuned-from", "version": "1"}]
    newer = [{"component": "base", "relation": "tuned-from"}]
    first = registered(place, write(tmp_path, {**tuned, "parents": older}, version="8"))
    both = registered(place, write(tmp_path, {**tuned, "version": "2", "parents": newer}, version="9"))
    alone = registered(
        place, write(tmp_path, {**tuned, "version": "3", "parents": newer}, version="10", without=["base"])
    )
    set_floor(place, FloorRequest("base", "2", "a jailbreak of 1"), operator=operator())
    with pytest.raises(FloorError, match="tuned was made of base, which is below its floor") as caught:
        activate(place, first.release, operator=operator())
    assert (caught.value.expected, caught.value.found) == (">= 2", "base 1")
    for made in (both, alone):
        activate(place, made.release, operator=operator())
    other = [{"component": "guard", "relation": "tuned-from"}]
    more = {"version": "11", "without": ["base"], "from": "assistant@2"}
    slipped = registered(place, write(tmp_path, {**tuned, "version": "4", "parents": other}, **more))
    with pytest.raises(FloorError, match="is not in the release, where tuned of its kind is new"):
        activate(place, slipped.release, operator=operator())


def test_a_revocation_reaches_what_was_made_of_the_revoked(tmp_path: Path) -> None:
    """The parent is in the release no more, and yet what comes from it is not run."""
    low = site(tmp_path)
    place = enclave("two", tmp_path)
    policy(place, tmp_path)
    tuned = {
        **ADAPTER, "name": "tuned", "kind": "model", "parents": [{"component": "base", "relation": "tuned-from"}],
    }  # fmt: skip
    made = registered(place, write(tmp_path, tuned, without=["base"]))
    activate(place, made.release, operator=operator())
    base = place.find_release("assistant@2", place.state())
    revoking.publish(low, [revoking.of_component(base, "base")])
    result = import_bundle(place, revoking.renewal(low, "renewed"), operator=operator())
    assert result.enforced is not None
    assert result.enforced.release == made.release
    assert place.state().active != made.digest


def test_a_receipt_names_no_registered_release(place: Enclave, tmp_path: Path) -> None:
    before = issue_receipt(place, operator=operator())
    made = registered(place, write(tmp_path, {**ADAPTER, "marking": SECRET}))
    activate(place, made.release, operator=operator())
    said = issue_receipt(place, operator=operator())
    assert (said.installed, said.active, said.marking) == (before.installed, "assistant@2", before.marking)
    assert "cases" not in (said.receipt or "")


def test_the_record_tells_where_it_comes_from(place: Enclave, tmp_path: Path) -> None:
    made = registered(place, write(tmp_path))
    activate(place, made.release, operator=operator())
    (node,) = questions.trace(place, made.release).nodes
    assert {(n.relation, n.name) for n in node.parents if n.kind == "release"} == {("made-from", "assistant")}
    (inside,) = questions.trace(place, "cases").nodes
    assert ("adapter-of", "base") in {(n.relation, n.name) for n in inside.parents}
    assert questions.active_during(place, "cases").periods[0].release == made.release
    found = find_changes(place, made.release)
    assert (found.against, [c["name"] for c in found.components if c["change"] == "added"]) == (
        "assistant@2", ["cases"],
    )  # fmt: skip
    assert list_releases(place)[-1]["release"] == made.release


def test_evidence_tells_what_no_authority_signed(place: Enclave, tmp_path: Path) -> None:
    made = registered(place, write(tmp_path))
    activate(place, made.release, operator=operator())
    facts = gather_facts(place, NOW)
    found = {name: controls.evidence(facts, name) for name in ("authority", "sources", "marking")}
    assert not found["authority"].found
    assert "registered here, with cases, from assistant@2: signed by" in found["authority"].text
    assert found["sources"].found
    assert found["marking"].found
    assert [entry.type for entry in found["marking"].entries] == ["import-commit", "register"]
    assert facts.marking == Marking("CUI")
    standing = facts.case(made.digest)
    assert keys.signer("ledger").public.key_id in standing.roles["build"]
    assert standing.roles["release"] == facts.case(facts.imported(made.digest)).roles["release"]


def test_a_failure_leaves_nothing(place: Enclave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path)
    before = files_of(picture(place.content.folder))
    with monkeypatch.context() as broken:

        def fail(*_: object, **__: object) -> None:
            raise StorageError("the disk is full")

        broken.setattr(register_module, "lay_out", fail)
        with pytest.raises(StorageError):
            registered(place, path)
    assert files_of(picture(place.content.folder)) == before
    assert registered(place, path).entry is not None


def test_garbage_collection_keeps_what_runs(place: Enclave, tmp_path: Path) -> None:
    made = registered(place, write(tmp_path))
    activate(place, made.release, operator=operator())
    registered(place, write(tmp_path, {**ADAPTER, "version": "2"}, seed=70, **{"from": made.release}))
    collect_garbage(place, 1, operator=operator())
    assert made.digest in place.state().installed
    check_content(place)
