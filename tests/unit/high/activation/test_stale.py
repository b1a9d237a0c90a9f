"""What the enclave knows grows old, whatever its clock says: nothing new is activated, and what runs goes on."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airlift.errors import QuorumError, StaleError, UsageError
from airlift.high.activation.activate import activate, roll_back
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.status import enclave_status
from airlift.high.governance.approve import approve
from airlift.high.governance.consent import Consent
from airlift.high.importing.import_bundle import import_bundle
from airlift.ledger.entries.administration import Gc
from tests.support import keys, revoking
from tests.support.depots import NOW, Site
from tests.support.enclaves import V1, V2, enclave, holds_release, operator, site, take

pytestmark = pytest.mark.usefixtures("quick_disk")
LATER = NOW + timedelta(days=31)


def limited(tmp_path: Path, rules: str = "refuse_new_after_days: 30") -> tuple[Enclave, Site]:
    """Return an enclave, with release 2 active, that trusts nothing older, and its low side."""
    place = enclave("two", tmp_path)
    folder = tmp_path / "policy"
    keys.write(folder, "ann", "ben")
    (folder / "policy.yaml").write_text(
        f"airlift: 2\nenclave: alpha\nstaleness: {{warn_after_days: 10, {rules}}}\n"
        "attestations:\n  approval: {threshold: 1, keys: [ann.pub, ben.pub]}\n"
    )
    change_policy(place, folder / "policy.yaml", operator=operator())
    for release in ("assistant@1", "assistant@2"):
        approve(place, release, signer=keys.signer("ann"), operator=operator())
    return place, site(tmp_path)


def test_beyond_the_limit_nothing_new_is_activated(tmp_path: Path) -> None:
    place, low = limited(tmp_path)
    assert "stale" not in " ".join(enclave_status(place, NOW).warnings)
    assert (
        "stale: the newest imported bundle is 11 days old"
        in enclave_status(place, NOW + timedelta(days=11)).warnings
    )
    with pytest.raises(StaleError) as caught:
        activate(place, "assistant@1", operator=operator(LATER))
    assert (caught.value.exit_code, caught.value.expected, caught.value.found) == (
        6,
        "at most 30 days",
        "31 days",
    )
    assert place.active.is_symlink()  # what runs goes on
    assert roll_back(place, "assistant@1", operator=operator(LATER)).active == "assistant@1"
    import_bundle(place, revoking.renewal(low, "media", LATER), operator=operator(LATER))
    assert activate(place, "assistant@2", operator=operator(LATER)).active == "assistant@2"


def test_a_roll_back_to_what_never_ran_is_no_way_around_it(tmp_path: Path) -> None:
    """Broke: ``rollback --to`` a release that was never active activated it on knowledge that was too old."""
    place, _ = limited(tmp_path)
    take(place, "step")
    approve(place, "assistant@3", signer=keys.signer("ann"), operator=operator())
    with pytest.raises(StaleError):
        roll_back(place, "assistant@3", operator=operator(LATER))
    assert holds_release(place, V2)
    assert roll_back(place, operator=operator(LATER)).active == "assistant@1"
    word = Consent("why", [keys.signer("ann"), keys.signer("ben")])
    activate(place, "assistant@3", operator=operator(LATER), stale=word)
    roll_back(place, operator=operator(LATER))
    assert roll_back(place, "assistant@3", operator=operator(LATER)).active == "assistant@3"


def test_a_clock_that_is_set_back_makes_nothing_fresh(tmp_path: Path) -> None:
    """THREATS, update system: clock at 1970. The ledger has seen later times."""
    place, _ = limited(tmp_path)
    place.record(operator(LATER), Gc(()))
    for clock in (datetime(1970, 1, 1, tzinfo=UTC), NOW):
        with pytest.raises(StaleError):
            activate(place, "assistant@1", operator=operator(clock))
    assert (
        "the clock is behind the newest entries of the ledger: check it"
        in enclave_status(place, NOW).warnings
    )


def test_a_clock_that_was_ahead_makes_nothing_stale_for_ever(tmp_path: Path) -> None:
    """THREATS, update system: clock in 2100."""
    place, low = limited(tmp_path)
    place.record(operator(datetime(2100, 1, 1, tzinfo=UTC)), Gc(()))
    with pytest.raises(StaleError):
        activate(place, "assistant@1", operator=operator())
    import_bundle(place, revoking.renewal(low, "media"), operator=operator())
    assert activate(place, "assistant@1", operator=operator()).active == "assistant@1"


def test_a_release_can_be_too_far_behind(tmp_path: Path) -> None:
    place, low = limited(tmp_path, "refuse_behind: 8")
    import_bundle(
        place, revoking.renewal(low, "media"), operator=operator()
    )  # sequence 9; releases came with 1 and 2
    activate(place, "assistant@2", operator=operator())
    import_bundle(place, revoking.renewal(low, "again"), operator=operator())
    with pytest.raises(StaleError) as caught:
        activate(place, "assistant@1", operator=operator())
    assert (caught.value.expected, caught.value.found) == ("at most 8 sequence numbers", "9")


def test_two_people_may_accept_it_for_the_record(tmp_path: Path) -> None:
    place, _ = limited(tmp_path)
    people = [keys.signer("ann"), keys.signer("ben")]
    with pytest.raises(UsageError):
        Consent("why", people[:1])
    with pytest.raises(QuorumError):
        activate(
            place,
            "assistant@1",
            operator=operator(LATER),
            stale=Consent("why", [people[0], keys.signer("dan")]),
        )
    word = Consent("no courier since the storm", people)
    assert activate(place, "assistant@1", operator=operator(LATER), stale=word).active == "assistant@1"
    assert holds_release(place, V1)
    with place.ledger() as log:
        entries = [log.entry(log.size - 2), log.entry(log.size - 1)]
    for entry in entries:
        assert entry.detail["insecure_stale"]["reason"] == "no courier since the storm"
        assert len(entry.detail["insecure_stale"]["signatures"]) == 2
