"""Policy set and show, and enrolment."""

import shutil
from pathlib import Path

import pytest

from airlift import files
from airlift.bundle.fields import ENCLAVE_NAME
from airlift.errors import (
    AirliftError,
    ExistsError,
    LedgerError,
    ManifestError,
    NoSpaceError,
    ProvenBadError,
    SignatureError,
    UncheckedError,
    UsageError,
)
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.enclave import open_enclave
from airlift.high.enclave.init import NewEnclave, init_enclave, normalise, root_fingerprint
from airlift.high.enclave.policy import load, load_document
from airlift.high.enclave.status import enclave_status
from airlift.low.authority.rotate import Rotation, rotate
from tests.support import keys
from tests.support.depots import NOW, ROOTS
from tests.support.enclaves import (
    attempt,
    enclave,
    flip,
    fresh,
    operator,
    overwrite,
    picture,
    site,
    take,
    world,
)

pytestmark = pytest.mark.usefixtures("quick_disk")

TEXT = "airlift: 1\nenclave: alpha\nattestations:\n  scan: {threshold: 1, keys: [people/scanner.pub]}\n"


def written(folder: Path, text: str = TEXT) -> Path:
    keys.write(folder / "people", "scanner")
    (folder / "policy.yaml").write_text(text)
    return folder / "policy.yaml"


def test_keys_travel_with_the_policy(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    text = written(tmp_path / "authored")
    document = change_policy(place, text, operator=operator()).document
    shutil.rmtree(tmp_path / "authored")
    shown = load_document(place, place.state())
    assert shown == document
    assert shown.keys["scanner.pub"] == keys.signer("scanner").public
    assert place.policy_link.read_text() == TEXT
    with place.ledger() as log:
        entry = log.last("policy")
    assert entry is not None
    assert entry.detail == {
        "sha512": document.digest,
        "keys": {"scanner.pub": keys.signer("scanner").public.fingerprint},
        "floors": {},
    }


def test_setting_the_same_policy_is_no_event(tmp_path: Path) -> None:
    place, text = enclave("one", tmp_path), written(tmp_path / "authored")
    change_policy(place, text, operator=operator())
    size = place.state().size
    change_policy(place, text, operator=operator())
    assert place.state().size == size


@pytest.mark.parametrize(
    "text",
    [
        "airlift: 1\nenclave: alpha\nkeep: 99\n",
        "airlift: 1\nenclave: beta\n",
        "airlift: 1\nenclave: alpha\nfloors: [",
        "unknown: 1\n",
        "",
    ],
)
def test_a_policy_changed_by_hand(tmp_path: Path, text: str) -> None:
    """A tampered policy is refused, and setting it repairs it. Broke: some changes were called a usage error."""
    place = enclave("one", tmp_path)
    target = place.policy_link.resolve()
    good = tmp_path / "good.yaml"
    good.write_bytes(target.read_bytes())
    overwrite(target, text.encode())
    attempt(place, world().bundles["delta"], LedgerError, 3)
    assert any(warning.startswith("policy:") for warning in enclave_status(place, NOW).warnings)
    change_policy(place, good, operator=operator())
    assert take(place, "delta", activate=True).activated


def test_a_key_changed_by_hand(tmp_path: Path) -> None:
    place = enclave("one", tmp_path)
    change_policy(place, written(tmp_path / "authored"), operator=operator())
    path = place.policy_link.resolve().with_name("scanner.pub")
    overwrite(path, keys.signer("mallory").public.pem())
    with pytest.raises(LedgerError):
        load(place, place.state())
    path.unlink()
    with pytest.raises(UncheckedError):
        load(place, place.state())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (TEXT.replace("alpha", "beta"), ManifestError),
        (TEXT.replace("people/scanner.pub", "people/nobody.pub"), UncheckedError),
        (TEXT.replace("[people/scanner.pub]", "[people/scanner.pub, scanner.pub]"), ManifestError),
        (TEXT.replace("people/scanner.pub", "people/policy.yaml"), ManifestError),
        (TEXT.replace("threshold: 1", "threshold: 2"), ManifestError),
        (TEXT + "more: 1\n", ManifestError),
        ("airlift: 1\nenclave: &a alpha\nfloors: {a: *a}\n", ManifestError),
    ],
)
def test_a_policy_that_cannot_be_set(tmp_path: Path, text: str, error: type[AirliftError]) -> None:
    place = enclave("one", tmp_path)
    before = picture(place.folder)
    with pytest.raises(error):
        change_policy(place, written(tmp_path / "authored", text), operator=operator())
    assert picture(place.folder) == before


def test_weak_digests_and_old_bundles_are_warned_of(tmp_path: Path) -> None:
    from datetime import timedelta

    place = enclave("one", tmp_path)
    text = "airlift: 1\nenclave: alpha\ndigest: sha256\nstaleness: {warn_after_days: 5}\n"
    change_policy(place, written(tmp_path / "authored", text), operator=operator())
    warnings = enclave_status(place, NOW + timedelta(days=6)).warnings
    assert [text.split(":")[0] for text in warnings] == ["policy", "stale"]


# -- enrolment -----------------------------------------------------------------------------------------------------


def test_enrolment_pins_and_records(tmp_path: Path) -> None:
    low = world().site
    place = fresh(tmp_path / "new", low, minimum_sequence=3)
    assert open_enclave(tmp_path / "new") == place
    enrolment = place.state().enrolled()
    assert enrolment.root_fingerprint == root_fingerprint(low.depot.root)
    assert (enrolment.enclave, enrolment.minimum_sequence, enrolment.root_version) == ("alpha", 3, 1)
    assert [path.read_bytes() for path in place.roots.iterdir()] == [low.depot.root.read_bytes()]


def test_a_fingerprint_as_people_type_it(tmp_path: Path) -> None:
    fingerprint = root_fingerprint(world().site.depot.root)
    spoken = " ".join(fingerprint[n : n + 4].upper() for n in range(0, len(fingerprint), 4))
    assert normalise(spoken.replace(" ", ":", 3) + "\n") == fingerprint


def other_root(folder: Path) -> Path:
    """Return a well signed root.json that differs from the world's: its second version."""
    low = site(folder)
    signers = [keys.signer(name) for name in ROOTS[:2]]
    rotate(low.depot, Rotation("root", threshold=1), signers=signers, now=NOW)
    return low.depot.root


def test_another_fingerprint(tmp_path: Path) -> None:
    """Arbitrary install at the root: a root.json that is not the one that was compared."""
    other = other_root(tmp_path)
    expected = root_fingerprint(world().site.depot.root)
    with pytest.raises(SignatureError) as caught:
        enrol_with(tmp_path / "new", root=other, expected=expected)
    assert caught.value.exit_code == 3
    assert not (tmp_path / "new").exists()


def enrol_with(folder: Path, **more: object) -> None:
    low = world().site
    given: dict[str, object] = {
        "root": low.depot.root,
        "expected": root_fingerprint(low.depot.root),
        "name": "alpha",
        "ledger_key": str(low.keys / "ledger.key"),
        **more,
    }
    init_enclave(folder, NewEnclave(**given), operator=operator())  # type: ignore[arg-type]


def test_a_root_that_does_not_sign_itself(tmp_path: Path) -> None:
    root = tmp_path / "root.json"
    root.write_bytes(world().site.depot.root.read_bytes())
    expected = root_fingerprint(root)
    flip(root, root.read_bytes().index(b'"sig":"') + 20)
    with pytest.raises(ProvenBadError):
        enrol_with(tmp_path / "new", root=root, expected=expected)
    root.write_bytes(b"{}")
    with pytest.raises(ProvenBadError):
        enrol_with(tmp_path / "new", root=root, expected=expected)


def test_a_root_that_changes_between_two_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broke: the fingerprint was taken from one read of root.json, and what was pinned from another."""
    other, reads = other_root(tmp_path).read_bytes(), 0
    root, real = tmp_path / "root.json", files.read_bounded
    root.write_bytes(world().site.depot.root.read_bytes())
    expected = root_fingerprint(root)

    def read_bounded(path: Path, limit: int) -> bytes:
        nonlocal reads
        data = real(path, limit)
        if path == root:
            reads += 1
            root.write_bytes(other)
        return data

    monkeypatch.setattr(files, "read_bounded", read_bounded)
    enrol_with(tmp_path / "new", root=root, expected=expected)
    assert reads == 1
    assert open_enclave(tmp_path / "new").state().enrolled().root_fingerprint == expected


def test_a_folder_that_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "full", tmp_path / "full" / "file"):
        with pytest.raises(ExistsError):
            enrol_with(folder)
    enrol_with(tmp_path / "empty")
    assert open_enclave(tmp_path / "empty").name == "alpha"
    with pytest.raises(UncheckedError):
        open_enclave(tmp_path / "full")


@pytest.mark.parametrize("more", [{"name": "any"}, {"name": "A"}, {"name": ""}, {"minimum_sequence": 0}])
def test_arguments_that_make_no_sense(tmp_path: Path, more: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        enrol_with(tmp_path / "new", **more)
    assert ENCLAVE_NAME.match("alpha")


def test_enrolment_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broke: a folder with a temporary name stayed behind."""

    def rename(*_: object) -> None:
        raise NoSpaceError("injected")

    (tmp_path / "there").mkdir()
    monkeypatch.setattr(files, "rename_durable", rename)
    with pytest.raises(NoSpaceError):
        enrol_with(tmp_path / "there" / "new")
    assert list((tmp_path / "there").iterdir()) == []


def test_a_policy_may_come_with_enrolment(tmp_path: Path) -> None:
    place = fresh(tmp_path / "new", world().site, policy=written(tmp_path / "authored"))
    assert load_document(place, place.state()).data == TEXT.encode()
    assert place.policy_link.read_text() == TEXT
