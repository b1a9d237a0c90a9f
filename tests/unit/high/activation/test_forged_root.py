"""A root that nobody signed, laid among the kept ones, decides nothing: it lifts no revocation (SPEC 4.4-3)."""

import json
from pathlib import Path
from typing import Any

import pytest

from airlift import strict
from airlift.errors import RevokedError, TrustStateError
from airlift.high.activation.activate import activate
from airlift.high.enclave.enclave import Enclave
from airlift.high.importing.import_bundle import import_bundle
from airlift.low.authority.rotate import Rotation, rotate
from airlift.trust.tuf import roles, root
from tests.support import keys, revoking
from tests.support.depots import NOW, ROOTS, Site
from tests.support.enclaves import enclave, operator, site

pytestmark = pytest.mark.usefixtures("quick_disk")


@pytest.fixture
def revoked(tmp_path: Path) -> tuple[Enclave, dict[str, Any]]:
    """Return an enclave in which release 1 is revoked and installed, and the revocation that a root could lift."""
    low, place = site(tmp_path), enclave("two", tmp_path)
    first = place.find_release("assistant@1", place.state())
    item = revoking.of_component(first, "base")
    revoking.publish(low, [item])
    import_bundle(place, revoking.renewal(low, "renewed"), operator=operator())
    return place, {"kind": item.kind, "digest": item.digest, "serial": item.serial}


def forge(place: Enclave, lifted: dict[str, Any], *names: str) -> None:
    """Keep a second root that lifts a revocation, signed by ``names``."""
    document = json.loads(next(iter(place.load_roots().values())))
    signed = document["signed"]
    signed["version"] += 1
    signed["x-airlift-lifted"] = [lifted]
    document["signatures"] = []
    for name in names:
        document = dict(roles.sign(document, keys.signer(name)))
    place.roots.joinpath(f"{signed['version']}.root.json").write_bytes(strict.format(document))


def test_it_would_lift_what_is_revoked(
    revoked: tuple[Enclave, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the check is what stands against it."""
    place, lifted = revoked
    forge(place, lifted, "mallory")
    monkeypatch.setattr(root, "check_chain", lambda *_: None)
    activate(place, "assistant@1", operator=operator())


@pytest.mark.parametrize("names", [(), ("mallory",), ROOTS[:1], ("mallory", ROOTS[0])])
def test_a_root_below_its_threshold_is_no_root(
    revoked: tuple[Enclave, dict[str, Any]], names: tuple[str, ...]
) -> None:
    place, lifted = revoked
    with pytest.raises(RevokedError):
        activate(place, "assistant@1", operator=operator())
    forge(place, lifted, *names)
    with pytest.raises(TrustStateError, match="a kept root is damaged"):
        activate(place, "assistant@1", operator=operator())


def test_one_that_root_signed_is(revoked: tuple[Enclave, dict[str, Any]]) -> None:
    place, lifted = revoked
    forge(place, lifted, *ROOTS[:2])
    activate(place, "assistant@1", operator=operator())


def test_another_first_root_is_none(revoked: tuple[Enclave, dict[str, Any]], tmp_path: Path) -> None:
    place, _ = revoked
    (path,) = place.roots.iterdir()
    document = json.loads(path.read_bytes())
    document["signed"]["x-other"] = "root"
    path.chmod(0o644)
    path.write_bytes(strict.format(document))
    with pytest.raises(TrustStateError):
        activate(place, "assistant@2", operator=operator())


def test_the_newest_root_that_an_import_was_verified_by_stays(
    revoked: tuple[Enclave, dict[str, Any]], tmp_path: Path
) -> None:
    """Without it the one before would be the newest: what that lifted, and whom it trusted, would count."""
    place, _ = revoked
    low = Site(tmp_path / "site")
    keys.write(low.keys, "grace")
    change = Rotation("release", [low.keys / "grace.pub"], ["frank"])
    assert rotate(low.depot, change, signers=[keys.signer(name) for name in ROOTS[:2]], now=NOW).published
    import_bundle(place, revoking.renewal(low, "rotated"), operator=operator())
    newest = place.roots / "2.root.json"
    kept = newest.read_bytes()
    newest.unlink()
    with pytest.raises(TrustStateError, match="a kept root is missing") as caught:
        activate(place, "assistant@2", operator=operator())
    assert (caught.value.expected, caught.value.found) == ("version 2 or newer", "version 1")
    newest.write_bytes(kept)
    activate(place, "assistant@2", operator=operator())


def test_a_gap_is_told(revoked: tuple[Enclave, dict[str, Any]]) -> None:
    place, lifted = revoked
    forge(place, lifted, *ROOTS[:2])
    (first,) = place.roots.glob("1.root.json")
    second = place.roots / "2.root.json"
    second.rename(place.roots / "3.root.json")
    assert first.exists()
    with pytest.raises(TrustStateError, match="not one after the other"):
        activate(place, "assistant@2", operator=operator())
