"""Revocations of format 2, and a root that lifts one: both importers read them alike."""

from pathlib import Path

from airlift.high.importing.import_bundle import import_bundle
from airlift.low.authority.revoke import Asked, revoke
from airlift.low.bundle.job import Destination
from airlift.low.bundle.renew import renew
from tests.second import beside
from tests.support import keys
from tests.support.depots import BUNDLER, NOW, RELEASERS, ROOTS, Site
from tests.support.enclaves import enclave, operator, site


def renewal(low: Site, output: Path) -> list[Path]:
    """Return the volumes of a renewal."""
    made = renew(low.depot, Destination(output), signer=keys.signer(BUNDLER), now=NOW)
    return [item.path for item in made.volumes]


def act(low: Site, *subjects: str, lift: bool = False) -> None:
    """Revoke or lift, signed by all who must."""
    signers = [keys.signer(name) for name in (*RELEASERS[:2], *(ROOTS[:2] if lift else ()))]
    assert revoke(low.depot, Asked(subjects, "a hole", lift=lift), signers=signers, now=NOW).published


def test_both_importers_read_what_is_revoked_and_lifted(tmp_path: Path) -> None:
    low, place = site(tmp_path), enclave("one", tmp_path)
    release = low.depot.load_release("assistant@1")
    file = release.components[0].files[0]
    component = release.components[1].digest
    subjects = (release.digest, component, file.sha512, f"file:{file.sha256}", "key:" + "d" * 64)
    tally = beside.Tally("tests/second/test_revoked")
    with beside.comparing(tally):
        act(low, *subjects)
        import_bundle(place, renewal(low, tmp_path / "revoked"), operator=operator())
        act(low, release.digest, "key:" + "d" * 64, lift=True)
        import_bundle(place, renewal(low, tmp_path / "lifted"), operator=operator())
    assert (len(tally.compared), tally.differing) == (2, [])
