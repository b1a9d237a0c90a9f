"""What is revoked is neither released nor bundled (SPEC 5.4-5); it is shown, and travels with every bundle."""

from dataclasses import replace
from pathlib import Path

import pytest

from airlift.bundle.component.vendor_signature import VendorSignature
from airlift.bundle.revocations import Revocation
from airlift.errors import RevokedError
from airlift.low.authority.revoke import Asked, revoke
from airlift.low.bundle import publish
from airlift.low.bundle.job import Destination
from airlift.low.bundle.publish import BundleResult
from airlift.low.bundle.recut import RecutRequest, recut
from airlift.low.bundle.renew import renew
from airlift.low.depot import revoked
from airlift.low.listing import listing
from airlift.low.release.make_release import make_release
from airlift.low.status import status
from airlift.policy.revocation import Revoked
from airlift.trust.keys.file import generate
from tests.support import keys
from tests.support.depots import BUNDLER, NOW, RELEASERS, ROOTS, Site, copy_site, signed_site
from tests.support.weights import weights

BASE = {"base": {"model.safetensors": weights(1), "config.json": b"{}"}}
NEW = {"base": {"model.safetensors": weights(5), "config.json": b"{}"}}


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = signed_site(tmp_path_factory.mktemp("released"))
    site.release(BASE)
    return site


@pytest.fixture
def site(released: Site, tmp_path: Path) -> Site:
    return copy_site(released, tmp_path)


def act(
    site: Site, *subjects: str, lift: bool = False, by: tuple[str, ...] = (*RELEASERS[:2], *ROOTS[:2])
) -> None:
    signers = [keys.signer(name) for name in (by if lift else by[:2])]
    revoke(site.depot, Asked(subjects, "a hole", lift=lift), signers=signers, now=NOW)


def names(site: Site) -> dict[str, str]:
    """What can be revoked of assistant@1, by kind."""
    release = site.depot.load_release("assistant@1")
    entry = release.components[0].files[1]
    return {
        "release": release.digest,
        "component": "base@1",
        "sha512": entry.sha512,
        "sha256": entry.sha256,
    }


@pytest.mark.parametrize("kind", ["release", "component", "sha512", "sha256"])
def test_what_is_revoked_is_not_bundled(site: Site, kind: str) -> None:
    act(site, names(site)[kind])
    with pytest.raises(RevokedError):
        site.bundle(dry_run=True)
    with pytest.raises(RevokedError, match="is revoked: a hole") as caught:
        site.bundle()
    assert (caught.value.exit_code, caught.value.code, len(caught.value.data["revoked"])) == (6, "revoked", 1)
    assert not (site.folder / "out").exists()
    act(site, names(site)[kind], lift=True)
    assert site.bundle().sequence == 1


def test_what_is_revoked_is_not_cut_again(site: Site) -> None:
    made = site.bundle()
    act(site, "base@1")
    request = RecutRequest(made.bundle, site.folder / "again")
    with pytest.raises(RevokedError, match="is revoked: a hole"):
        recut(site.depot, request, now=NOW)
    assert not (site.folder / "again").exists()
    act(site, "base@1", lift=True)


def test_a_revocation_that_lacks_signatures_forbids_nothing(site: Site) -> None:
    act(site, "base@1", by=("dan",))
    assert site.bundle().revocations == 0


def test_a_revoked_baseline_is_no_obstacle(site: Site) -> None:
    site.release(NEW, "2")
    act(site, "release:assistant@1", "base@1")
    made = site.bundle("assistant@2", from_="assistant@1")
    assert (made.baseline, made.revocations) == ("assistant@1", 2)


def test_what_is_revoked_while_a_bundle_is_coded_is_not_published(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = revoked.in_force(site.depot)
    act(site, "base@1")
    later = revoked.in_force(site.depot)
    answers = iter([first, later])
    monkeypatch.setattr(revoked, "in_force", lambda _depot: next(answers))
    with pytest.raises(RevokedError):
        site.bundle()
    assert publish.next_sequence(site.depot) == 1
    assert not (site.folder / "out").exists()


@pytest.mark.parametrize("kind", ["component", "sha512", "sha256"])
def test_what_has_something_revoked_in_it_is_not_released(site: Site, kind: str) -> None:
    act(site, names(site)[kind])
    more = {**BASE, "more": {"notes.txt": b"new content"}}
    before = sorted(site.depot.folder.rglob("*"))
    path = site.manifest(more, "2", versions={"base": "1"})
    for dry_run in (True, False):
        with pytest.raises(RevokedError, match="is revoked: a hole"):
            make_release(site.depot, path, now=NOW, dry_run=dry_run)
    assert sorted(path for path in site.depot.folder.rglob("*") if path.is_file()) == [
        path for path in before if path.is_file()
    ]
    act(site, names(site)[kind], lift=True)
    assert not make_release(site.depot, path, now=NOW).already


def test_the_key_of_a_vendor(site: Site) -> None:
    release = site.depot.load_release("assistant@1")
    public = generate("ecdsa-p384").public
    stated = VendorSignature("key", "0" * 128, 1, (public.pem().decode(),))
    signed = replace(release, components=(replace(release.components[0], vendor_signature=stated),))
    force = Revoked((Revocation("key", public.key_id, "lost", 1),))
    revoked.check_release(release, force)
    with pytest.raises(
        RevokedError, match="the key that vouches for the content of component base is revoked: lost"
    ):
        revoked.check_release(signed, force)


# -- what is shown and carried ---------------------------------------------------------------------------------------


def test_status_and_list_show_what_is_in_force(site: Site) -> None:
    assert (status(site.depot, NOW).revocations, listing(site.depot).revocations) == ((), ())
    act(site, "base@1", names(site)["sha256"])
    found = status(site.depot, NOW).revocations
    assert [(item.kind, item.names, item.type, item.reason, item.serial) for item in found] == [
        ("component", ("base@1",), "vulnerability", "a hole", 1),
        ("file", ("base@1/model.safetensors",), "vulnerability", "a hole", 2),
    ]
    assert listing(site.depot).revocations == found
    act(site, "base@1", lift=True)
    assert [item.serial for item in status(site.depot, NOW).revocations] == [2]


def renewal(site: Site, output: str) -> BundleResult:
    return renew(site.depot, Destination(site.folder / output), signer=keys.signer(BUNDLER), now=NOW)


def test_a_renewal_says_how_many_revocations_it_carries(site: Site) -> None:
    before = renewal(site, "before")
    assert before.revocations == 0
    act(site, "base@1")
    made = renewal(site, "after")
    (one,) = made.volumes
    assert (made.revocations, made.chunks) == (1, 0)
    assert one.bytes - before.volumes[0].bytes < 1_000, "a list of one entry, and one more bundle"
