"""One command in an emergency: what is judged before anything is kept, and what is cut for whom (SPEC L4.16)."""

from dataclasses import replace
from pathlib import Path

import pytest

from airlift.bundle.fields import Marking
from airlift.errors import (
    AirliftError,
    ExistsError,
    KeyUnavailableError,
    MarkingError,
    NotHeldError,
    PendingError,
    RevokedError,
    UsageError,
)
from airlift.low.authority.revoke import Asked, revoke
from airlift.low.authority.sign import sign
from airlift.low.bundle.job import Destination
from airlift.low.depot import enclaves, revoked
from airlift.low.depot.enclaves import Acknowledged
from airlift.low.depot.events import read_events
from airlift.low.emergency.respond import Emergency, EmergencyResult, respond
from airlift.low.release.make_release import make_release
from airlift.low.returns.register import register
from tests.support import keys
from tests.support.depots import BUNDLER, NOW, RELEASERS, Components, Site, copy_site, signed_site
from tests.support.rebuild import load_bundle, rebuild
from tests.support.weights import noise, weights

pytestmark = pytest.mark.usefixtures("quick_disk")

TIME = "2026-11-20T12:00:00Z"
NAMES = ("alpha", "bravo", "charlie")
WHY = "passes prompts in base64"
BASE = {"model.safetensors": weights(1, rows=300, columns=512)}
SAME = {"base": "1"}


def guard(number: int) -> dict[str, bytes]:
    return {"guard.safetensors": weights(2, changed=number), "words.txt": b"a word\n" * number}


def stack(number: int) -> Components:
    return {"base": BASE, "guard": guard(number)}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A depot with assistant@1 to 3, whose guards differ, and three enclaves that acknowledged nothing."""
    site = signed_site(tmp_path_factory.mktemp("template"))
    for number in (1, 2, 3):
        site.release(stack(number), str(number), versions=SAME)
    for name in NAMES:
        keys.write(site.keys, f"ledger-{name}")
        register(site.depot, name, ledger_key=site.keys / f"ledger-{name}.pub", now=NOW)
    return site


@pytest.fixture
def site(template: Site, tmp_path: Path) -> Site:
    return copy_site(template, tmp_path)


def holds(site: Site, name: str, *versions: str, known_by: str = "receipt") -> None:
    """Let an enclave have acknowledged releases, oldest first."""
    said = [
        Acknowledged(site.depot.find_release(f"assistant@{version}").digest, number, TIME, known_by)
        for number, version in enumerate(versions, start=1)
    ]
    record = enclaves.load(site.depot, name)
    enclaves.save(site.depot, replace(record, acknowledged=(*record.acknowledged, *said)))


def fix(site: Site, components: Components | None = None, **more: object) -> Path:
    versions = {"versions": SAME, **more}
    return site.manifest(components or stack(4), "4", **versions)  # type: ignore[arg-type]


def answer(
    site: Site,
    *subjects: str,
    manifest: Path | None = None,
    by: tuple[str, ...] = RELEASERS[:2],
    names: tuple[str, ...] = NAMES,
    bundler: str = BUNDLER,
    dry_run: bool = False,
) -> EmergencyResult:
    emergency = Emergency(
        manifest or fix(site), subjects or ("guard@3",), names, WHY, Destination(site.folder / "out")
    )
    return respond(
        site.depot,
        emergency,
        bundler=keys.signer(bundler),
        now=NOW,
        signers=[keys.signer(name) for name in by],
        dry_run=dry_run,
    )


def state(site: Site) -> dict[str, bytes]:
    """Return what a refusal or a dry run must leave as it was."""
    return {
        str(path.relative_to(site.folder)): path.read_bytes()
        for folder in (site.folder / "depot", site.folder / "out")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def events(site: Site) -> list[str]:
    return [event.event for event in read_events(site.depot)]


# -- what is cut -----------------------------------------------------------------------------------------------------


def test_a_baseline_that_all_hold_serves_all_with_one_bundle(site: Site) -> None:
    holds(site, "alpha", "1", "2")
    holds(site, "bravo", "2", known_by="operator")
    holds(site, "charlie", "2", "3")
    result = answer(site)
    assert (result.release, result.published, result.signatures, result.threshold) == (
        "assistant@4", True, 2, 2,
    )  # fmt: skip
    assert [(item.kind, item.names, item.reason) for item in result.revoked] == [
        ("component", ("guard@3",), WHY)
    ]
    (made,) = result.bundles
    assert (made.bundle, made.enclave, made.baseline) == ("any-1", None, "assistant@2")
    assert made.baseline_known_by == {"alpha": "receipt", "bravo": "operator", "charlie": "receipt"}
    assert (result.chosen, result.compared) == ("common", {})
    assert result.serves == dict.fromkeys(NAMES, "any-1")
    assert made.chunk_bytes < 10_000
    assert any("guard@3" in line for line in result.differences)
    assert events(site)[-3:] == ["release", "revoke", "bundle"]
    folders = [item.path for item in made.volumes]
    rebuilt = rebuild(folders, lambda sha512: site.depot.content.path(sha512).read_bytes())
    assert set(guard(4).values()) <= set(rebuilt.values())
    carried = load_bundle(folders[0]).revocations
    assert (
        carried
        == site.depot.store.published("targets")["signed"]["targets"]["revocations"]["hashes"]["sha512"]
    )


def test_the_newest_common_baseline_is_taken_by_the_order_of_releases(site: Site) -> None:
    for name in NAMES:
        holds(site, name, "3", "1", "2")
    assert answer(site).bundles[0].baseline == "assistant@3"


def test_without_a_common_baseline_deltas_are_taken_where_they_are_smaller(site: Site) -> None:
    """Two enclaves with the same baseline share a bundle."""
    holds(site, "alpha", "1")
    holds(site, "bravo", "2", "3")
    holds(site, "charlie", "3", "2", "3")
    result = answer(site)
    assert result.chosen == "apart"
    assert result.compared["apart"] < result.compared["complete"]
    assert [(item.enclave, item.baseline) for item in result.bundles] == [
        ("alpha", "assistant@1"), (None, "assistant@3"),
    ]  # fmt: skip
    assert result.serves == {"alpha": "alpha-1", "bravo": "any-2", "charlie": "any-2"}
    assert sum(item.chunk_bytes for item in result.bundles) == result.compared["apart"]


def test_a_complete_bundle_is_taken_where_it_is_smaller(site: Site) -> None:
    """Nothing of what they hold is left in the hot fix: two deltas would say the same twice."""
    holds(site, "alpha", "1")
    holds(site, "bravo", "2")
    fresh = {"guard": {"words.txt": noise(9, 50_000)}}
    result = answer(site, manifest=fix(site, fresh), names=NAMES[:2])
    assert result.chosen == "complete"
    assert result.compared["complete"] < result.compared["apart"]
    assert [(item.bundle, item.baseline) for item in result.bundles] == [("any-1", None)]


def test_an_enclave_that_acknowledged_nothing_needs_the_complete_one(site: Site) -> None:
    holds(site, "alpha", "3")
    result = answer(site, names=("bravo", "alpha", "bravo"))
    assert (result.chosen, result.compared) == ("complete", {})
    assert result.bundles[0].baseline_known_by == {"alpha": "none", "bravo": "none"}


def test_a_single_enclave_is_addressed(site: Site) -> None:
    holds(site, "alpha", "3")
    result = answer(site, names=("alpha",))
    assert [(item.bundle, item.enclave, item.baseline) for item in result.bundles] == [
        ("alpha-1", "alpha", "assistant@3")
    ]


def test_only_published_releases_of_this_depot_are_baselines(site: Site) -> None:
    for name in NAMES:
        holds(site, name, "1")
        record = enclaves.load(site.depot, name)
        foreign = Acknowledged("ab" * 64, 9, TIME, "receipt")
        enclaves.save(site.depot, replace(record, acknowledged=(*record.acknowledged, foreign)))
    assert answer(site).bundles[0].baseline == "assistant@1"


# -- signatures ------------------------------------------------------------------------------------------------------


def test_missing_signatures_are_told_and_the_same_command_goes_on(site: Site) -> None:
    holds(site, "alpha", "3")
    manifest = fix(site)
    first = answer(site, manifest=manifest, by=("dan",), names=("alpha",))
    assert (first.published, first.signatures, first.threshold) == (False, 1, 2)
    assert (first.bundles, first.serves, first.chosen) == ((), {}, None)
    assert not (site.folder / "out").exists()
    pending = site.depot.store.pending("targets")
    assert pending is not None
    still = answer(site, manifest=manifest, by=(), names=("alpha",))
    assert (still.published, still.signatures) == (False, 1)
    assert site.depot.store.pending("targets") == pending
    signed = sign(site.depot, "assistant@4", signers=[keys.signer("erin")], now=NOW)
    assert signed.published
    version = site.depot.store.published("targets")["signed"]["version"]
    done = answer(site, manifest=manifest, by=(), names=("alpha",))
    assert (done.published, done.signatures, len(done.bundles)) == (True, 2, 1)
    assert site.depot.store.published("targets")["signed"]["version"] == version
    assert len(revoked.listed(site.depot, site.depot.store.published("targets"))) == 1


def test_the_same_command_may_bring_the_missing_signature_itself(site: Site) -> None:
    manifest = fix(site)
    answer(site, manifest=manifest, by=("dan",))
    assert answer(site, manifest=manifest, by=("erin",)).published


def test_what_was_revoked_before_leaves_the_release_to_be_signed(site: Site) -> None:
    asked = Asked(("guard@3",), "an earlier reason")
    revoke(site.depot, asked, signers=[keys.signer(name) for name in RELEASERS[:2]], now=NOW)
    first = answer(site, by=("dan",))
    assert (first.published, first.signatures) == (False, 1)
    done = answer(site, by=("erin",))
    assert (done.published, done.revoked[0].reason) == (True, "an earlier reason")


def test_a_release_that_was_published_before_only_needs_the_revocation(site: Site) -> None:
    manifest = fix(site)
    make_release(site.depot, manifest, signers=[keys.signer(name) for name in RELEASERS[:2]], now=NOW)
    assert answer(site, manifest=manifest, by=("dan",)).signatures == 1
    assert answer(site, manifest=manifest, by=("erin",)).published


def test_a_release_that_waits_alone_gets_the_revocation_beside_it(site: Site) -> None:
    """As after a crash between the two; what was signed without the revocation is signed again."""
    manifest = fix(site)
    make_release(site.depot, manifest, signers=[keys.signer("dan")], now=NOW)
    told = answer(site, manifest=manifest, by=("erin",))
    assert (told.published, told.signatures) == (False, 1)
    assert any("signatures" in text and "dropped" in text for text in told.warnings)
    assert site.depot.find_release("assistant@4").digest == told.digest
    assert answer(site, manifest=manifest, by=("dan",)).published


# -- what is refused, and leaves no trace ----------------------------------------------------------------------------


def refused(site: Site, error: type[AirliftError], *subjects: str, **more: object) -> AirliftError:
    """Demand that nothing is kept when an emergency is refused."""
    more["manifest"] = more.get("manifest") or fix(site)
    before = state(site)
    with pytest.raises(error) as caught:
        answer(site, *subjects, **more)  # type: ignore[arg-type]
    assert state(site) == before
    return caught.value


def test_an_enclave_that_is_not_enrolled(site: Site) -> None:
    assert refused(site, NotHeldError, names=("alpha", "delta")).exit_code == 5
    refused(site, UsageError, names=())


def test_a_ceiling_of_any_of_them_refuses(site: Site) -> None:
    """A bundle for all is addressed to none: no other check would see the ceiling."""
    for name in NAMES:
        holds(site, name, "3")
    key = site.keys / "ledger-bravo.pub"
    register(site.depot, "bravo", ledger_key=key, now=NOW, ceiling=Marking("UNCLASSIFIED"))
    manifest = fix(site, marking={"level": "SECRET"})
    assert refused(site, MarkingError, manifest=manifest).exit_code == 6


def test_what_the_hot_fix_itself_contains_is_not_revoked(site: Site) -> None:
    assert refused(site, RevokedError, "base@1").exit_code == 6
    renamed = fix(site, {"base": BASE, "shield": guard(3)})
    found = refused(site, RevokedError, f"file:{_file(site)}", manifest=renamed)
    assert "of component shield is revoked" in found.message


def _file(site: Site) -> str:
    release = site.depot.load_release("assistant@3")
    (component,) = [item for item in release.components if item.name == "guard"]
    return component.files[0].sha512


def test_unknown_subjects_and_keys(site: Site) -> None:
    refused(site, NotHeldError, "guard@9")
    refused(site, KeyUnavailableError, bundler="dan")


def test_another_pending_change_is_in_the_way(site: Site) -> None:
    site.release(stack(5), "5", versions=SAME, names=())
    refused(site, PendingError)


def test_a_manifest_that_changed_under_its_name(site: Site) -> None:
    answer(site, by=("dan",))
    refused(site, ExistsError, manifest=fix(site, stack(6)))


# -- a dry run -------------------------------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing(site: Site) -> None:
    for name in NAMES:
        holds(site, name, "3")
    manifest = fix(site)
    before = state(site)
    told = answer(site, manifest=manifest, dry_run=True)
    assert (told.published, told.bundles, told.signatures) == (False, (), 0)
    assert state(site) == before
    done = answer(site, manifest=manifest)
    before = state(site)
    again = answer(site, manifest=manifest, dry_run=True)
    assert state(site) == before
    assert [item.chunk_bytes for item in again.bundles] == [item.chunk_bytes for item in done.bundles]
    assert again.bundles[0].volumes == ()
