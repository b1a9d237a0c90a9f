"""The ratchet: one person raises a floor, two lower it, no policy does, and what is held and fits is named."""

from pathlib import Path

import pytest

from airlift.errors import FloorError, ManifestError, QuorumError, RequirementError, UsageError
from airlift.high.activation.activate import activate, roll_back
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.gc import collect_garbage
from airlift.high.enclave.status import enclave_status
from airlift.high.governance.floor import FloorRequest, FloorResult, set_floor
from airlift.high.importing.import_bundle import import_bundle
from tests.support import keys
from tests.support.depots import NOW, signed_site
from tests.support.enclaves import V2, V3, enclave, fresh, holds_release, operator, picture, take

pytestmark = pytest.mark.usefixtures("quick_disk")
PEOPLE = ("ann", "ben")
APPROVERS = "attestations:\n  approval: {threshold: 1, keys: [ann.pub, ben.pub]}\n"


def policy(place: Enclave, folder: Path, text: str = "") -> None:
    keys.write(folder, *PEOPLE)
    (folder / "policy.yaml").write_text(f"airlift: 2\nenclave: alpha\n{text}")
    change_policy(place, folder / "policy.yaml", operator=operator())


def floor(
    place: Enclave, name: str, version: str | None, *people: str, reason: str = "why", **more: bool
) -> FloorResult:
    request = FloorRequest(name, version, reason, [keys.signer(person) for person in people])
    return set_floor(place, request, operator=operator(), **more)


@pytest.mark.parametrize("name", ["guard", "kind:guard"])
def test_a_floor_holds_at_once_and_names_what_is_held_and_fits(tmp_path: Path, name: str) -> None:
    """THREATS, rules: a rollback below a floor."""
    place = enclave("two", tmp_path)
    take(place, "step", activate=True)
    result = floor(place, name, "2.2", reason="a jailbreak of 2.1")
    assert (result.version, result.previous, result.already) == ("2.2", None, False)
    with place.ledger() as log:
        entry = log.entry(result.entry or 0)
    assert (entry.type, entry.detail["reason"], entry.detail["signatures"]) == (
        "floor",
        "a jailbreak of 2.1",
        {},
    )
    for reference in ("assistant@1", None):
        with pytest.raises(FloorError) as caught:
            roll_back(place, reference, operator=operator())
        assert (caught.value.exit_code, caught.value.expected, caught.value.found) == (6, ">= 2.2", "2.1")
        assert caught.value.data["fits"] is None
        assert "assistant@3 stays active" in caught.value.hint, (
            "the policy, which was named, has no word of this"
        )
        assert "`airlift high receipt --output receipt.json`" in caught.value.hint
    assert holds_release(place, V3)
    assert floor(place, name, "2.2").already
    assert enclave_status(place, NOW).floors == {name: "2.2"}


def test_the_newest_held_release_that_fits_is_named(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    take(place, "step")
    floor(place, "guard", "2.2")
    with pytest.raises(FloorError) as caught:
        activate(place, "assistant@1", operator=operator())
    assert caught.value.data["fits"] == "assistant@3"
    assert "`airlift high activate assistant@3`" in caught.value.hint
    activate(place, "assistant@3", operator=operator())


def test_a_requirement_names_who_has_what_is_lacking(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    take(place, "step")
    policy(place, tmp_path / "policy", 'requires:\n  - {kind: model, needs: guard, version: ">=2.2"}\n')
    with pytest.raises(RequirementError) as caught:
        activate(place, "assistant@1", operator=operator())
    assert (caught.value.data["held_by"], caught.value.data["fits"]) == ("assistant@3", "assistant@3")
    assert "the held release assistant@3 has guard >=2.2" in caught.value.hint


def test_what_was_removed_is_named_with_the_bundle_that_brought_it(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    take(place, "next", activate=True)  # guard 2.2
    take(place, "last", activate=True)
    activate(place, "assistant@1", operator=operator())
    assert collect_garbage(place, 1, operator=operator()).removed == ("assistant@3",)
    policy(place, tmp_path / "policy", 'requires:\n  - {kind: model, needs: guard, version: ">=2.2"}\n')
    with pytest.raises(RequirementError) as caught:
        roll_back(place, operator=operator())
    assert caught.value.data["brought_by"] == "any-3"
    assert "bundle any-3, removed since, has guard >=2.2" in caught.value.hint


def test_what_never_came_is_said_so(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    policy(place, tmp_path / "policy", 'requires:\n  - {kind: model, needs: guard, version: ">=3"}\n')
    with pytest.raises(RequirementError) as caught:
        roll_back(place, operator=operator())
    assert "no release that was imported here has guard >=3" in caught.value.hint
    assert "held_by" not in caught.value.data


def test_garbage_collection_lets_nothing_slip_under_a_floor(tmp_path: Path) -> None:
    """THREATS, rules: a guard that was renamed; the release that had its name is not held any more."""
    low, kinds = signed_site(tmp_path), {"guard": "guard", "shield": "guard"}
    keys.write(low.keys, "ledger")
    base, guard, shield = V2["base"], V2["guard"], V3["guard"]
    low.release({"base": base, "guard": guard}, "1", versions={"guard": "2.1"}, kinds=kinds)
    low.release({"base": base}, "2", kinds=kinds)
    low.release({"base": {**base, "more.txt": b"more"}}, "3", kinds=kinds)
    low.release({"base": base, "shield": shield}, "4", versions={"shield": "0.1"}, kinds=kinds)
    place = fresh(tmp_path / "enclave", low)
    floor(place, "guard", "2.0")
    for version in ("1", "2", "3", "4"):
        made = low.bundle(f"assistant@{version}", f"out-{version}", from_="none")
        paths = [item.path for item in made.volumes]
        import_bundle(place, paths, operator=operator(), activate=version != "4")
    collect_garbage(place, 1, operator=operator())
    assert "assistant@1" not in {place.load_release(digest).label for digest in place.state().installed}
    with pytest.raises(FloorError, match="shield of its kind is new"):
        activate(place, "assistant@4", operator=operator())


def test_lowering_takes_two_people_of_the_policy(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    floor(place, "guard", "2.2")
    policy(place, tmp_path / "policy", APPROVERS)
    before = place.state()
    for version in ("2.1", None):
        with pytest.raises(UsageError):
            floor(place, "guard", version)
        with pytest.raises(UsageError):
            floor(place, "guard", version, "ann", "ann")
        with pytest.raises(QuorumError) as caught:
            floor(place, "guard", version, "ann", "dan")
        assert (caught.value.exit_code, caught.value.expected, caught.value.found) == (6, "2", "1")
    assert place.state() == before
    result = floor(place, "guard", "2.1", *PEOPLE, reason="2.2 was recalled by its vendor")
    with place.ledger() as log:
        detail = log.entry(result.entry or 0).detail
    assert len(detail["signatures"]) == 2
    assert (detail["version"], detail["previous"]) == ("2.1", "2.2")
    assert floor(place, "guard", None, *PEOPLE).version is None
    assert enclave_status(place, NOW).floors == {}


def test_no_policy_lowers_a_floor(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    policy(place, tmp_path / "policy", 'floors: {guard: "2.2", "kind:model": "1"}\n' + APPROVERS)
    with pytest.raises(FloorError, match="a floor of its own"):
        floor(place, "guard", "2.1", *PEOPLE)
    policy(place, tmp_path / "policy", 'floors: {guard: "1.0"}\n' + APPROVERS)
    assert enclave_status(place, NOW).floors == {"guard": "2.2", "kind:model": "1"}
    with pytest.raises(FloorError):
        roll_back(place, operator=operator())
    floor(place, "guard", "2.1", *PEOPLE)
    policy(place, tmp_path / "policy")
    roll_back(place, operator=operator())


def test_the_floors_of_the_first_policy_are_kept_too(tmp_path: Path) -> None:
    from tests.support.enclaves import fresh, site

    keys.write(tmp_path / "policy", *PEOPLE)
    text = tmp_path / "policy" / "policy.yaml"
    text.write_text('airlift: 1\nenclave: alpha\nfloors: {guard: "9"}\n')
    place = fresh(tmp_path / "enclave", site(tmp_path), policy=text)
    policy(place, tmp_path / "policy")
    assert enclave_status(place, NOW).floors == {"guard": "9"}


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    place = enclave("two", tmp_path)
    before = picture(place.folder)
    result = floor(place, "guard", "2.2", dry_run=True)
    assert (result.version, result.entry) == ("2.2", None)
    assert picture(place.folder) == before
    assert holds_release(place, V2)


@pytest.mark.parametrize(
    ("name", "version", "reason", "error"),
    [
        ("kind:person", "1", "why", UsageError),
        ("guard", "final", "why", ManifestError),
        ("guard", "1", " ", UsageError),
        ("guard", "1", "x" * 1025, UsageError),
        ("guard", "1", "two\nlines", UsageError),
    ],
)
def test_what_is_no_floor(name: str, version: str, reason: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        FloorRequest(name, version, reason)
