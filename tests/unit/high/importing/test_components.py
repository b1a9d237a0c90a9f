"""What a release says of its components is judged before anything is installed, and anew whenever it is to run."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from airlift.bundle import release as releases
from airlift.bundle.fields import Marking
from airlift.errors import MalformedError, MarkingError, WaiverError
from airlift.high.activation.activate import activate, roll_back
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.status import enclave_status
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.preview import plan_import
from airlift.low.release.make_release import make_release
from tests.support import keys
from tests.support.depots import NOW, RELEASERS, Site
from tests.support.enclaves import V2, attempt, enclave, operator, site

pytestmark = pytest.mark.usefixtures("quick_disk")

CODE = b'{"layers": 2, "auto_map": {"AutoModel": "other/place--modeling.M"}}'


def bundled(low: Site, files: dict[str, bytes], **base: Any) -> Path:
    """Bundle release 7, whose component ``base`` has these files too, for an enclave that runs release 1."""
    path = low.manifest({**V2, "base": {**V2["base"], **files}}, "7", kinds={"guard": "guard"})
    document = yaml.safe_load(path.read_text())
    document["components"][0] |= base
    path.write_text(yaml.safe_dump(document))
    make_release(low.depot, path, signers=[keys.signer(name) for name in RELEASERS[:2]], now=NOW)
    (item,) = low.bundle("assistant@7", "seven", from_="assistant@1").volumes
    return item.path


def allow(place: Enclave, folder: Path, text: str) -> None:
    (folder / "policy.yaml").write_text(f"airlift: 2\nenclave: alpha\n{text}")
    change_policy(place, folder / "policy.yaml", operator=operator())


def test_a_waiver_that_is_not_permitted(tmp_path: Path) -> None:
    """THREATS, content: a waiver that an enclave does not permit, or for more than it names."""
    low, place = site(tmp_path), enclave("one", tmp_path)
    media = bundled(low, {"config.json": CODE}, accept=[{"what": "remote-code", "reason": "No other code."}])
    for text in ("", "waivers: []\n", "waivers: [{what: code}, {what: remote-code, component: guard}]\n"):
        allow(place, tmp_path, text)
        for activated in (False, True):
            attempt(place, [media], WaiverError, 6, activate=activated)
            (told,) = plan_import(place, [media], NOW, activate=activated).objections
            assert told == {
                "code": "waiver-refused",
                "message": "component base comes with a waiver for remote-code",
            }
    allow(place, tmp_path, "waivers: [{what: remote-code, component: base}]\n")
    done = import_bundle(place, [media], operator=operator(), activate=True)
    assert done.remarks == ("base: waiver for remote-code in config.json: No other code.",)
    warning = (
        "policy would not let the active release run: component base comes with a waiver for remote-code"
    )
    assert warning not in enclave_status(place, NOW).warnings
    allow(place, tmp_path, "")
    assert warning in enclave_status(place, NOW).warnings, "what runs already is not stopped, and is told"
    allow(place, tmp_path, "waivers: [{what: remote-code, component: base}]\n")
    activate(place, "assistant@1", operator=operator())
    allow(place, tmp_path, "")
    with pytest.raises(WaiverError):
        activate(place, "assistant@7", operator=operator())
    with pytest.raises(WaiverError):
        roll_back(place, operator=operator())


def test_a_component_above_the_ceiling(tmp_path: Path) -> None:
    low, place = site(tmp_path), enclave("one", tmp_path)
    media = bundled(low, {}, marking={"level": "UNCLASSIFIED"})
    allow(place, tmp_path, "marking: {levels: [LOW, UNCLASSIFIED], ceiling: {level: LOW}}\n")
    attempt(place, [media], MarkingError, 6)


def test_a_component_marked_above_its_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """THREATS, content: a component whose marking is above its release's, signed by an authority out of hand."""
    low, place = site(tmp_path), enclave("one", tmp_path)
    with monkeypatch.context() as out_of_hand:
        out_of_hand.setattr(Marking, "covers", lambda *_: True)
        media = bundled(low, {}, marking={"level": "TOP SECRET"})
    error = attempt(place, [media], MalformedError, 3)
    assert "the marking of component base is not within its release's" in error.message


def test_old_releases_are_read_as_ever(tmp_path: Path) -> None:
    low = site(tmp_path)
    for reference in low.depot.releases():
        data = releases.format(low.depot.load_release(reference.digest))
        assert data.startswith(b'{"airlift":1,')
