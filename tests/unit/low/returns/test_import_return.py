"""What comes back from enclaves: taken in, refused, and what a depot then knows (SPEC L1.5, L1.6, L6)."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airlift.bundle.returns import receipt as receipts
from airlift.bundle.returns import request as requests
from airlift.bundle.returns.stated_ledger import StatedLedger
from airlift.errors import (
    AirliftError,
    FormatTooNewError,
    LedgerError,
    MalformedError,
    MistypedError,
    NotHeldError,
    ReplayError,
    SequenceReusedError,
    SignatureError,
    WrongEnclaveError,
)
from airlift.high.importing.import_bundle import import_bundle
from airlift.low.bundle.withdraw import withdraw
from airlift.low.depot import enclaves, outstanding
from airlift.low.depot.enclaves import EnclaveRecord, Word
from airlift.low.depot.events import read_events
from airlift.low.listing import ListedEnclave, listing
from airlift.low.returns.check_newer import head_of
from airlift.low.returns.import_return import ReturnResult, import_return
from airlift.low.returns.recognise import MAX_BYTES
from airlift.trust.tuf import bundling
from tests.support import keys
from tests.support.depots import BUNDLER, NOW, Site
from tests.support.enclaves import enclave, operator, picture, site, volumes, world
from tests.support.returns import (
    asked_by,
    at,
    enrol,
    forged,
    forged_request,
    receipt_code,
    receipt_of,
    request_code,
    request_of,
    sign,
    stated_by,
    typed,
    with_ledger,
)

pytestmark = pytest.mark.usefixtures("quick_disk")

ROOT = b"\x01" * 48


@pytest.fixture
def low(tmp_path: Path) -> Site:
    """A depot that knows alpha, and has bundles 1 to 8; 2 was withdrawn."""
    place = site(tmp_path)
    enrol(place)
    return place


def take(low: Site, data: bytes) -> ReturnResult:
    return import_return(low.depot, data, now=NOW)


def entry(low: Site, name: str = "alpha") -> EnclaveRecord:
    return enclaves.load(low.depot, name)


def known(low: Site) -> list[tuple[str, str]]:
    labels = {item.digest: item.label for item in low.depot.releases()}
    return [(labels[item.release], item.known_by) for item in entry(low).acknowledged]


def listed(low: Site, name: str = "alpha") -> ListedEnclave:
    return next(item for item in listing(low.depot).enclaves if item.enclave == name)


def contents(low: Site) -> dict[str, Any]:
    """Return all of the depot but the lock, which says how the last command ended."""
    return {path: state for path, state in picture(low.depot.folder).items() if path != "lock"}


def refused(low: Site, data: bytes, error: type[AirliftError], match: str | None = None) -> AirliftError:
    before = contents(low)
    with pytest.raises(error, match=match) as caught:
        take(low, data)
    assert contents(low) == before
    return caught.value


# -- receipts --------------------------------------------------------------------------------------------------------


def test_a_receipt_says_what_an_enclave_holds(low: Site) -> None:
    place = at("two")
    result = take(low, receipt_of(place))
    assert (result.kind, result.enclave, result.known_by, result.already) == (
        *("receipt", "alpha", "receipt", False),
    )
    assert result.holds == ("assistant@1", "assistant@2")
    assert (result.counter, result.warnings) == (None, ())
    assert known(low) == [("assistant@1", "receipt"), ("assistant@2", "receipt")]
    newest = entry(low).newest
    assert newest is not None
    assert (newest.receipt, newest.sequence, newest.counter) == (place.state().size, 2, 0)
    assert head_of(newest).size == place.state().size
    event = read_events(low.depot)[-1]
    assert (event.event, event.detail["enclave"], event.detail["known_by"]) == ("receipt", "alpha", "receipt")
    assert json.loads((low.depot.enclaves / "alpha.json").read_bytes())["airlift"] == 2


def test_the_newest_that_was_acknowledged_is_the_baseline(low: Site, tmp_path: Path) -> None:
    take(low, receipt_of(enclave("two", tmp_path)))
    result = low.bundle("assistant@3", for_="alpha")
    assert (result.baseline, result.baseline_known_by) == ("assistant@2", "receipt")
    place = enclave("two", tmp_path / "again")
    import_bundle(place, [item.path for item in result.volumes], operator=operator(), activate=True)
    assert place.load_release(place.state().active or "").label == "assistant@3"


def test_the_same_again_changes_nothing(low: Site) -> None:
    data = receipt_of(at("two"))
    take(low, data)
    before = contents(low)
    again = take(low, data)
    assert (again.already, again.holds) == (True, ("assistant@1", "assistant@2"))
    assert contents(low) == before


def test_a_dry_run_changes_nothing(low: Site) -> None:
    before = contents(low)
    result = import_return(low.depot, receipt_of(at("two")), now=NOW, dry_run=True)
    assert result.holds == ("assistant@1", "assistant@2")
    assert contents(low) == before


def test_what_an_enclave_holds_no_longer_is_no_baseline(low: Site) -> None:
    data = receipt_of(at("two"))
    take(low, data)
    stated = stated_by(data)
    fewer = forged(data, installed=stated.installed[:1], **with_ledger(stated.size + 5, ROOT))
    take(low, fewer)
    assert known(low) == [("assistant@1", "receipt")]


def test_since_when_a_release_is_known(low: Site) -> None:
    first = receipt_of(at("one"))
    take(low, forged(first, issued="2026-11-01T00:00:00Z"))
    take(low, receipt_of(at("two")))
    one, two = entry(low).acknowledged
    assert (one.time, two.time) == ("2026-11-01T00:00:00Z", "2026-11-21T12:00:00Z")


def test_releases_of_another_depot_are_kept_and_never_a_baseline(low: Site) -> None:
    data = receipt_of(at("one"))
    (release,) = stated_by(data).installed
    take(low, forged(data, installed=(release, replace(release, digest="ab" * 64, version="77"))))
    assert len(entry(low).acknowledged) == 2
    assert enclaves.newest_acknowledged(low.depot, "alpha") == entry(low).acknowledged[0]


# -- what is refused: replayed, forged, of another ledger, older than the last ---------------------------------------


def test_a_receipt_that_goes_back_in_time(low: Site) -> None:
    old = receipt_of(at("one"))
    take(low, receipt_of(at("two")))
    error = refused(low, old, ReplayError, "older than what is known")
    assert (error.exit_code, error.code) == (3, "replayed")


def test_a_later_date_makes_no_receipt_newer(low: Site) -> None:
    old = forged(receipt_of(at("one")), issued="2099-01-01T00:00:00Z")
    take(low, receipt_of(at("two")))
    refused(low, old, ReplayError)


def test_a_receipt_of_a_rewritten_ledger(low: Site) -> None:
    data = receipt_of(at("two"))
    take(low, data)
    rewritten = forged(data, **with_ledger(stated_by(data).size, ROOT))
    error = refused(low, rewritten, LedgerError, "contradicts the checkpoint that was kept")
    assert (error.exit_code, error.code) == (3, "ledger-inconsistent")


def test_a_receipt_that_contradicts_its_own_checkpoint(low: Site) -> None:
    data = receipt_of(at("two"))
    refused(low, forged(data, size=99), LedgerError, "own checkpoint")
    refused(low, forged(data, root="ab" * 48), LedgerError, "own checkpoint")


def test_a_checkpoint_of_another_ledger_or_key(low: Site) -> None:
    data = receipt_of(at("two"))
    for made in (with_ledger(9, ROOT, name="beta"), with_ledger(9, ROOT, key="stranger")):
        refused(low, forged(data, **made), SignatureError)
    refused(low, forged(data, checkpoint="no note"), MalformedError)


def test_a_receipt_with_another_key(low: Site) -> None:
    data = receipt_of(at("two"))
    error = refused(low, forged(data, key="stranger"), SignatureError, "no enclave that is enrolled")
    assert (error.exit_code, error.code) == (3, "signature-invalid")


def test_a_receipt_whose_bytes_were_changed(low: Site) -> None:
    document = json.loads(receipt_of(at("two")))
    other = json.loads(forged(receipt_of(at("one")), sequence=9))
    refused(low, json.dumps({**document, "payload": other["payload"]}).encode(), SignatureError)


def test_an_enclave_that_speaks_for_another(low: Site) -> None:
    enrol(low, "beta", "other")
    data = receipt_of(at("two"))
    for signed, name in (("ledger", "beta"), ("other", "alpha"), ("other", "gamma")):
        stated = with_ledger(50, ROOT, name=name, key=signed)
        refused(low, forged(data, key=signed, enclave=name, **stated), LedgerError, "another enclave")


def test_two_enclaves_with_one_key_are_told_apart_by_name(low: Site) -> None:
    enrol(low, "beta")
    data = receipt_of(at("two"))
    take(low, forged(data, enclave="beta", **with_ledger(50, ROOT, name="beta")))
    assert (len(entry(low, "beta").acknowledged), len(entry(low).acknowledged)) == (2, 0)
    refused(low, receipt_code(at("two")), SignatureError, "several enclaves")


def test_a_statement_of_another_kind_is_neither(low: Site) -> None:
    payload = receipts.format(stated_by(receipt_of(at("two"))))
    refused(low, sign("application/vnd.in-toto+json", payload), MalformedError, "neither")
    refused(low, sign(requests.PAYLOAD_TYPE, payload), MalformedError)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", MalformedError),
        (b"{", MalformedError),
        (b"{}", MalformedError),
        (b"\xff\xfe", MalformedError),
        (b"0" * (MAX_BYTES + 1), MalformedError),
        (b"hello", MistypedError),
    ],
)
def test_what_is_neither_a_file_nor_a_code(low: Site, data: bytes, error: type[AirliftError]) -> None:
    refused(low, data, error)


def test_a_later_format_is_unknown_and_not_bad(low: Site) -> None:
    payload = receipts.format(stated_by(receipt_of(at("two"))))
    later = payload.replace(b'"airlift":1', b'"airlift":3')
    refused(low, sign(receipts.PAYLOAD_TYPE, later), FormatTooNewError)


def test_nobody_is_enrolled(tmp_path: Path) -> None:
    low = site(tmp_path)
    refused(low, receipt_of(at("one")), SignatureError)
    refused(low, receipt_code(at("two")), SignatureError, "no enclave that is enrolled")


# -- typed receipts --------------------------------------------------------------------------------------------------


def test_a_typed_receipt_is_the_operators_word(low: Site) -> None:
    place = at("two")
    result = take(low, receipt_code(place))
    assert (result.known_by, result.holds, result.size) == ("operator", ("assistant@2",), place.state().size)
    assert known(low) == [("assistant@2", "operator")]
    assert (entry(low).newest, entry(low).word) == (None, Word(place.state().size, (result.root or "")[:10]))
    bundle = low.bundle("assistant@3", for_="alpha")
    assert (bundle.baseline, bundle.baseline_known_by) == ("assistant@2", "operator")
    assert take(low, receipt_code(place)).already


def test_a_typed_receipt_never_overrides_what_was_signed(low: Site) -> None:
    one, two = at("one"), at("two")
    take(low, receipt_of(two))
    refused(low, receipt_code(one), ReplayError)
    same = typed(receipt_code(two), release="ab" * 5, sequence=1)
    before = entry(low)
    assert take(low, same).already
    assert entry(low) == before
    refused(low, typed(receipt_code(two), root="ab" * 5), LedgerError)
    (first, _) = low.depot.releases()[:2]
    later = typed(receipt_code(two), size=99, root="ab" * 5, release=first.digest[:10])
    assert take(low, later).holds == ("assistant@1", "assistant@2")
    assert known(low) == [("assistant@1", "receipt"), ("assistant@2", "receipt")]


def test_what_was_signed_later_replaces_what_was_typed(low: Site) -> None:
    two = at("two")
    take(low, typed(receipt_code(two), size=99, root="ab" * 5))
    assert known(low) == [("assistant@2", "operator")]
    take(low, receipt_of(two))  # of a smaller ledger than somebody's word, and signed
    assert known(low) == [("assistant@1", "receipt"), ("assistant@2", "receipt")]
    assert entry(low).word is None


def test_typed_receipts_go_forward(low: Site) -> None:
    take(low, receipt_code(at("two")))
    refused(low, receipt_code(at("one")), ReplayError)
    refused(low, typed(receipt_code(at("two")), root="ab" * 5), LedgerError)


def test_a_typed_receipt_of_a_release_that_the_depot_does_not_have(low: Site) -> None:
    error = refused(low, typed(receipt_code(at("two")), release="ab" * 5), NotHeldError)
    assert error.exit_code == 5


def test_a_typed_receipt_of_an_empty_enclave(low: Site) -> None:
    assert take(low, receipt_code(at("fresh"))).holds == ()
    assert low.bundle("assistant@3", for_="alpha").baseline_known_by == "none"


def test_a_mistyped_receipt_names_its_line(low: Site) -> None:
    data = receipt_code(at("two"))
    wrong = data[:-1] + (b"0" if data[-1:] != b"0" else b"1")
    assert refused(low, wrong, MistypedError, "line 2").data == {"line": 2}


# -- requests --------------------------------------------------------------------------------------------------------


def test_a_request_is_held_against_its_bundle(low: Site) -> None:
    place, given = at("fresh"), world().bundles["full"][1:]
    for data, known_by in ((request_of(place, *given), "receipt"), (request_code(place, *given), "operator")):
        result = take(low, data)
        assert (result.kind, result.known_by, result.bundle, result.already) == (
            "request",
            known_by,
            "any-1",
            False,
        )
        assert result.missing == asked_by(request_of(place, *given)).missing
        assert result.missing_bytes > 0
        assert read_events(low.depot)[-1].detail["missing"] == len(result.missing)
        assert known(low) == []
    newest = entry(low).newest
    assert newest is not None
    assert (head_of(newest).size, newest.receipt) == (place.state().size, 0)


def test_a_request_goes_forward(low: Site) -> None:
    old = request_of(at("fresh"), *world().bundles["full"][1:])
    take(low, receipt_of(at("two")))
    refused(low, old, ReplayError)


def test_a_receipt_after_a_request_of_the_same_ledger(low: Site, tmp_path: Path) -> None:
    place, given = at("one"), volumes("next", tmp_path)
    next((given[0] / "chunks").iterdir()).unlink()
    assert take(low, request_of(place, *given)).bundle == "any-3"
    assert not take(low, receipt_of(place)).already
    assert known(low) == [("assistant@1", "receipt")]
    assert take(low, receipt_of(place)).already


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"sequence": 77}, NotHeldError),
        ({"sequence": 2}, NotHeldError),
        ({"manifest": "0" * 128}, SequenceReusedError),
        ({"missing": (0, 5000)}, MalformedError),
        ({"sequence": 4}, WrongEnclaveError),
    ],
)
def test_a_request_that_names_what_is_not_in_the_bundle(
    low: Site, changes: dict[str, Any], error: type[AirliftError]
) -> None:
    place, given = at("fresh"), world().bundles["full"][1:]
    refused(low, forged_request(request_of(place, *given), **changes), error)
    start = {key: value[:10] if key == "manifest" else value for key, value in changes.items()}
    refused(low, typed(request_code(place, *given), **start), error)


def test_a_forged_request(low: Site) -> None:
    data = request_of(at("fresh"), *world().bundles["full"][1:])
    refused(low, forged_request(data, key="stranger"), SignatureError)
    refused(
        low,
        forged_request(data, ledger=StatedLedger(asked_by(data).ledger.checkpoint, 1, "ab" * 48)),
        LedgerError,
    )
    refused(
        low,
        typed(request_code(at("fresh"), *world().bundles["full"][1:]), key="ab" * 5),
        SignatureError,
    )


# -- a depot that was restored from an old copy ----------------------------------------------------------------------


def test_a_restored_depot_gets_above_what_the_enclave_holds(tmp_path: Path) -> None:
    """Bundles and withdrawals came after the backup: the next bundle must not be taken for an old one."""
    old = site(tmp_path)
    enrol(old)
    new = Site(tmp_path / "later" / "site")
    new.folder.parent.mkdir()
    shutil.copytree(old.folder, new.folder)
    lost = new.bundle("assistant@2", from_="assistant@1", for_="alpha", output="lost")
    for number in range(3):
        extra = new.bundle("assistant@1", from_="none", for_="beta", output=f"extra{number}")
        withdraw(new.depot, extra.bundle, signer=keys.signer(BUNDLER), now=NOW)
    last = new.bundle("assistant@2", from_="none", for_="alpha", output="last")
    place = enclave("one", tmp_path)
    for made in (lost, last):
        import_bundle(place, [item.path for item in made.volumes], operator=operator(), activate=True)
    data = receipt_of(place)
    stated = stated_by(data)
    assert (stated.sequence, bundling.sequence_of(old.depot.store)) == (last.sequence, 8)
    assert stated.metadata is not None
    result = take(old, data)
    assert result.counter == stated.metadata > stated.sequence
    assert ["old copy" in warning for warning in result.warnings] == [True]
    again = old.bundle("assistant@3", for_="alpha", output="again")
    assert (again.sequence, again.baseline, again.baseline_known_by) == (
        stated.metadata + 1,
        "assistant@2",
        "receipt",
    )
    import_bundle(place, [item.path for item in again.volumes], operator=operator(), activate=True)
    assert place.load_release(place.state().active or "").label == "assistant@3"
    assert take(old, receipt_of(place)).counter is None


def test_numbers_far_beyond_raise_nothing(low: Site) -> None:
    """A stolen bundler key could use up every number by one bundle, and the receipt about it the depot's."""
    data = receipt_of(at("two"))
    size = stated_by(data).size
    for number, member in enumerate(("sequence", "metadata"), 1):
        changes: dict[str, Any] = {member: 2**31 - 1, **with_ledger(size + number, ROOT)}
        result = take(low, forged(data, **changes))
        assert result.counter is None
        assert "stolen" in result.warnings[-1]
    assert low.bundle("assistant@3", for_="alpha").sequence == 9


def test_a_bundle_that_the_depot_never_made(low: Site) -> None:
    data = receipt_of(at("two"))
    result = take(low, forged(data, manifest="ab" * 64))
    assert ["none that this depot knows" in warning for warning in result.warnings] == [True]


def test_a_code_raises_nothing(low: Site) -> None:
    result = take(low, typed(receipt_code(at("two")), sequence=500))
    assert (result.counter, len(result.warnings)) == (None, 1)
    assert low.bundle("assistant@3", for_="alpha").sequence == 9


# -- what a depot tells ----------------------------------------------------------------------------------------------


def test_what_is_listed_of_an_enclave(low: Site, tmp_path: Path) -> None:
    nothing = listed(low)
    assert (nothing.acknowledged, nothing.since, nothing.holds, nothing.ledger) == (None, None, (), None)
    assert nothing.outstanding == ("any-1", "any-3", "any-5", "any-6", "any-7", "any-8")
    place = enclave("two", tmp_path)
    take(low, receipt_of(place))
    found = listed(low)
    assert (found.acknowledged, found.known_by, found.since) == (
        "assistant@2",
        "receipt",
        "2026-11-21T12:00:00Z",
    )
    assert (found.holds, found.ledger) == (("assistant@1", "assistant@2"), place.state().size)
    assert found.outstanding == ("any-3", "any-6", "any-8")
    import_bundle(place, world().bundles["renewal"], operator=operator())
    take(low, receipt_of(place))
    assert listed(low).outstanding == ("any-3", "any-6")
    take(low, typed(receipt_code(place), size=99, root="ab" * 5))
    assert (listed(low).word, listed(low).known_by) == (99, "receipt")


def test_a_baseline_that_has_yet_to_arrive_is_an_assumption(low: Site) -> None:
    take(low, receipt_of(at("one")))
    on = low.bundle("assistant@3", for_="alpha", from_="assistant@2", output="on")
    assert (on.baseline, on.baseline_known_by) == ("assistant@2", "assumption")
    said = low.bundle("assistant@3", for_="alpha", from_="assistant@1", output="said")
    assert said.baseline_known_by == "receipt"
    for bundle in ("any-7", "any-5"):
        withdraw(low.depot, bundle, signer=keys.signer(BUNDLER), now=NOW)
    word = low.bundle("assistant@3", for_="alpha", from_="assistant@2", output="word")
    assert word.baseline_known_by == "operator"
    assert low.bundle("assistant@3", from_="assistant@1", output="free").baseline_known_by == "operator"


# -- what goes back says no more than it must ------------------------------------------------------------------------


def strings(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {text for item in value.values() for text in strings(item)}
    if isinstance(value, list):
        return {text for item in value for text in strings(item)}
    return {value} if isinstance(value, str) else set()


def test_nothing_goes_back_that_the_low_side_does_not_know(low: Site) -> None:
    place = at("two")
    fresh_place = at("fresh")
    with place.ledger() as log:
        note, root = log.checkpoint().decode(), log.root().hex()
    with fresh_place.ledger() as log:
        other_note, other_root = log.checkpoint().decode(), log.root().hex()
    releases = {text for item in low.depot.releases() for text in (item.digest, item.name, item.version)}
    bundles = {item.bundle.digest for item in outstanding.load(low.depot)}
    own = {
        "receipt",
        "request",
        "alpha",
        "2026-11-21T12:00:00Z",
        "UNCLASSIFIED",
        note,
        root,
        other_note,
        other_root,
    }
    for payload in (
        receipts.format(stated_by(receipt_of(place))),
        requests.format(asked_by(request_of(fresh_place, *world().bundles["full"][1:]))),
    ):
        said = strings(json.loads(payload))
        assert said <= releases | bundles | own | {stated_by(receipt_of(place)).manifest}
