"""The depot's policy: kept whole as it was written, with its keys, and noted in the log (SPEC L4.15)."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from airlift import strict
from airlift.errors import FormatTooNewError, MalformedError, ManifestError, UncheckedError
from airlift.low.depot import policy
from airlift.low.depot.events import read_events
from airlift.policy.demands import Quorum
from airlift.policy.document import Command
from tests.support import keys
from tests.support.depots import NOW, Site, signed_site
from tests.support.enclaves import picture

pytestmark = pytest.mark.usefixtures("quick_disk")

TEXT = """\
airlift: 1
attestations:
  approval: {threshold: 1, keys: [people/issm.pub], expires_after_days: 30}
bar: [[build, approval]]
"""


def authored(folder: Path, text: str = TEXT) -> Path:
    keys.write(folder / "authored" / "people", "issm")
    path = folder / "authored" / "policy.yaml"
    path.write_text(text)
    return path


@pytest.fixture
def low(tmp_path: Path) -> Site:
    return signed_site(tmp_path)


def test_it_is_kept_with_its_keys(low: Site, tmp_path: Path) -> None:
    assert policy.load(low.depot) is None
    made = policy.set_policy(low.depot, authored(tmp_path), now=NOW)
    shutil.rmtree(tmp_path / "authored")
    held = policy.load(low.depot)
    assert held == made
    assert held is not None
    assert held.text == TEXT
    assert held.demands.attestations == (("approval", Quorum(1, ("people/issm.pub",), 30)),)
    assert held.demands.bars == (("approval", "build"),)
    event = read_events(low.depot)[-1]
    public = keys.signer("issm").public
    assert (event.event, event.detail) == (
        "policy", {"digest": made.digest, "keys": {"issm.pub": public.fingerprint}},
    )  # fmt: skip


def test_the_same_again_is_no_event(low: Site, tmp_path: Path) -> None:
    path = authored(tmp_path)
    policy.set_policy(low.depot, path, now=NOW)
    before = read_events(low.depot)
    policy.set_policy(low.depot, path, now=NOW)
    assert read_events(low.depot) == before
    path.write_text("airlift: 1\n")
    assert policy.set_policy(low.depot, path, now=NOW).demands.attestations == ()
    assert len(read_events(low.depot)) == len(before) + 1


def test_a_dry_run_keeps_nothing(low: Site, tmp_path: Path) -> None:
    before = picture(low.folder / "depot")
    policy.set_policy(low.depot, authored(tmp_path), now=NOW, dry_run=True)
    assert picture(low.folder / "depot") == before


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", ManifestError),
        ("airlift: 2\n", ManifestError),
        (TEXT + "enclave: alpha\n", ManifestError),
        (TEXT.replace("threshold: 1", "threshold: 2"), ManifestError),
        (TEXT.replace("[build, approval]", "[build, scan]"), ManifestError),
        (TEXT.replace("[people/issm.pub]", "[people/issm.pub, issm.pub]"), ManifestError),
        (TEXT.replace("people/issm.pub", "people/nobody.pub"), UncheckedError),
    ],
)
def test_what_cannot_be_set(low: Site, tmp_path: Path, text: str, error: type[Exception]) -> None:
    before = picture(low.folder / "depot")
    with pytest.raises(error):
        policy.set_policy(low.depot, authored(tmp_path, text), now=NOW)
    assert picture(low.folder / "depot") == before


def replaced(old: str, new: str) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(old.encode(), new.encode(), 1)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda data: data[:-1], MalformedError),
        (replaced("depot-policy", "depot-polity"), MalformedError),
        (replaced('"airlift":1', '"airlift":9'), FormatTooNewError),
        (replaced("threshold: 1", "threshold: 2"), MalformedError),
        (replaced('"issm.pub":', '"owner.pub":'), MalformedError),
        (replaced("BEGIN PUBLIC KEY", "BEGIN PUBLIC TOY"), MalformedError),
        (
            lambda data: strict.format(strict.parse(data, limit=1 << 20, what="x") | {"keys": []}),
            MalformedError,
        ),
    ],
)
def test_what_was_changed_is_found(
    low: Site, tmp_path: Path, change: Callable[[bytes], bytes], error: type[Exception]
) -> None:
    policy.set_policy(low.depot, authored(tmp_path), now=NOW)
    place = low.folder / "depot" / policy.FILE
    changed = change(place.read_bytes())
    assert changed != place.read_bytes()
    place.write_bytes(changed)
    with pytest.raises(error):
        policy.load(low.depot)


SCANNERS = """\
scanners:
  - {name: av, command: [clamscan, --recursive, "{release}"], timeout: 3600, memory: 4GiB, processes: 2}
  - {name: models, command: [modelscan]}
"""


def test_scanners_are_kept_in_their_order(low: Site, tmp_path: Path) -> None:
    made = policy.set_policy(low.depot, authored(tmp_path, TEXT + SCANNERS), now=NOW)
    assert policy.load(low.depot) == made
    assert made.scanners == (
        Command("av", ("clamscan", "--recursive", "{release}"), 3600, 4 << 30, 2),
        Command("models", ("modelscan",)),
    )


@pytest.mark.parametrize(
    "change", [replaced("name: av", "name: airlift"), replaced("name: av", "name: models")]
)
def test_scanners_that_were_changed_are_found(
    low: Site, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    policy.set_policy(low.depot, authored(tmp_path, TEXT + SCANNERS), now=NOW)
    place = low.folder / "depot" / policy.FILE
    place.write_bytes(change(place.read_bytes()))
    with pytest.raises(MalformedError):
        policy.load(low.depot)
