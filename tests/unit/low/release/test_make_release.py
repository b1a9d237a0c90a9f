import errno
import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from airlift.errors import (
    DigestError,
    ExistsError,
    ForbiddenFileError,
    KeyUnavailableError,
    ManifestError,
    NoSpaceError,
    PendingError,
    RequirementError,
    UncheckedError,
    UnpublishedError,
)
from airlift.low.depot.depot import Depot
from airlift.low.depot.events import read_events
from airlift.low.release import gather
from airlift.low.release.hub.fetch import Fetched, Wanted
from airlift.low.release.make_release import ReleaseResult, make_release
from tests.support import keys
from tests.support.depots import NOW, RELEASERS, Site, make_site, signed_site
from tests.support.weights import noise, weights

BASE = {"base": {"model.safetensors": weights(1), "config.json": b"{}"}}
STACK = BASE | {"guard": {"guard.safetensors": weights(2)}}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return signed_site(tmp_path)


def contents(depot: Depot) -> set[str]:
    return {path.name for path in depot.content.folder.rglob("*") if path.is_file()}


def test_what_the_index_may_name_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broke: the index had its new name when the sync of its folder failed, and the content it names was removed."""
    before, real = contents(site.depot), Depot.write_releases

    def written_and_not_synced(depot: Depot, listed: Any) -> None:
        real(depot, listed)
        raise NoSpaceError("injected")

    with monkeypatch.context() as patch:
        patch.setattr(Depot, "write_releases", written_and_not_synced)
        with pytest.raises(NoSpaceError):
            site.release({"base": {"model.safetensors": weights(1)}}, "1")
    (listed,) = site.depot.releases()
    assert site.depot.load_release(listed.digest).contents().keys() <= contents(site.depot)
    assert contents(site.depot) > before


def test_signed_by_enough(site: Site) -> None:
    result = site.release(STACK, notes="First.", marking={"level": "CUI", "caveats": ["REL", "NOFORN"]})
    assert (result.release, result.signatures, result.threshold, result.published) == (
        "assistant@1",
        2,
        2,
        True,
    )
    assert (result.files, result.bytes, result.new_bytes) == (
        3,
        2 * len(weights(1)) + 2,
        2 * len(weights(1)) + 2,
    )
    assert not result.already
    kept = site.depot.load_release(result.digest)
    assert kept.marking.caveats == ("NOFORN", "REL")
    assert kept.components[0].source == {"kind": "path", "path": "base"}
    assert contents(site.depot) == set(kept.contents())
    assert "component added: base 1 (model, 2 files" in "\n".join(result.differences)


def test_below_the_threshold(site: Site) -> None:
    result = site.release(BASE, names=RELEASERS[:1])
    assert (result.signatures, result.threshold, result.published) == (1, 2, False)
    result = site.release(BASE, names=())
    assert (result.signatures, result.published, result.already) == (1, False, True)
    assert site.release(BASE, names=RELEASERS[1:2]).published


def test_again_is_no_error(site: Site) -> None:
    first = site.release(BASE)
    again = site.release(BASE)
    assert (again.digest, again.already, again.new_bytes) == (first.digest, True, 0)
    assert (again.published, again.signatures, again.threshold) == (True, 2, 2)
    assert len(site.depot.releases()) == 1


def test_unchanged_components_cost_nothing(site: Site) -> None:
    site.release(STACK)
    changed = STACK | {"guard": {"guard.safetensors": weights(2, changed=3)}}
    result = site.release(changed, "2", versions={"base": "1"})
    assert result.new_bytes == len(weights(2))
    text = "\n".join(result.differences)
    assert "compared with assistant@1" in text
    assert "component unchanged: base 1" in text
    assert "component changed: guard 1 -> 2 (" in text


def test_a_name_stands_for_one_release(site: Site) -> None:
    site.release(BASE)
    other = {"base": {"model.safetensors": weights(9)}}
    shutil.rmtree(site.folder / "source-1")
    with pytest.raises(ExistsError, match="assistant@1 exists"):
        site.release(other, versions={"base": "2"})
    with pytest.raises(ExistsError):
        make_release(site.depot, site.manifest(other, "1", versions={"base": "2"}), now=NOW, replace=True)


def test_a_version_stands_for_one_content(site: Site) -> None:
    """THREATS, content: a tokenizer or config changed without a version change."""
    site.release(BASE)
    before = contents(site.depot)
    with pytest.raises(ExistsError, match=r"component base 1 has other content than in release assistant@1"):
        site.release({"base": BASE["base"] | {"config.json": b'{"a": 1}'}}, "2", versions={"base": "1"})
    assert contents(site.depot) == before


def test_a_pending_release_is_in_the_way(site: Site) -> None:
    site.release(BASE, names=RELEASERS[:1])
    before = contents(site.depot)
    with pytest.raises(PendingError, match="pending") as caught:
        site.release(STACK, "2")
    assert caught.value.found == "assistant@1"
    assert contents(site.depot) == before


def test_replace_drops_signatures(site: Site) -> None:
    site.release(BASE, names=RELEASERS[:1])
    path = site.manifest(STACK, "2")
    result = make_release(site.depot, path, signers=[keys.signer(RELEASERS[1])], now=NOW, replace=True)
    assert (result.signatures, result.published) == (1, False)
    assert not site.depot.is_published(site.depot.find_release("assistant@1").digest)


def test_replace_gives_an_unsigned_name_other_content(site: Site) -> None:
    site.release(BASE, names=RELEASERS[:1])
    path = site.manifest(STACK, "1", versions={"base": "1"})
    with pytest.raises(ExistsError) as caught:
        make_release(site.depot, path, now=NOW)
    assert "--replace" in caught.value.hint
    result = make_release(site.depot, path, now=NOW, replace=True)
    assert [reference.digest for reference in site.depot.releases()] == [result.digest]


def test_a_dropped_release_can_come_back(site: Site) -> None:
    first = site.release(BASE, names=RELEASERS[:1])
    make_release(
        site.depot,
        site.manifest(STACK, "2"),
        signers=[keys.signer(name) for name in RELEASERS],
        now=NOW,
        replace=True,
    )
    result = site.release(BASE)
    assert (result.digest, result.already, result.published) == (first.digest, True, True)


def test_dry_run_changes_nothing(site: Site) -> None:
    before = sorted(site.depot.folder.rglob("*"))
    path = site.manifest(STACK)
    result = make_release(site.depot, path, signers=[keys.signer("dan")], now=NOW, dry_run=True)
    assert (result.published, result.signatures, result.threshold) == (False, 0, 2)
    assert result.new_bytes == result.bytes > 0
    assert any("component added: guard" in line for line in result.differences)
    assert sorted(site.depot.folder.rglob("*")) == before
    assert result.digest == site.release(STACK).digest


def test_an_unsigned_depot(tmp_path: Path) -> None:
    site = make_site(tmp_path, signed=False)
    with pytest.raises(UnpublishedError):
        site.release(BASE, names=())
    assert contents(site.depot) == set()


def test_a_stranger_cannot_sign(site: Site) -> None:
    """THREATS, update system: a key of another role."""
    with pytest.raises(KeyUnavailableError):
        site.release(BASE, names=("dan", "alice"))
    assert site.release(BASE, names=()).signatures == 0


def test_a_failure_forgets_what_came_in(site: Site) -> None:
    with pytest.raises(ForbiddenFileError):
        site.release(STACK | {"zz": {"x.safetensors": b"bad"}})
    assert contents(site.depot) == set()
    assert site.depot.releases() == ()
    assert [item.event for item in read_events(site.depot)] == ["init"]


def test_a_full_disk(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """THREATS, file system: a full disk at every write."""
    real = os.rename
    calls = []

    def full(source: str, target: str) -> None:
        calls.append(target)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target)

    path = site.manifest(STACK)
    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(NoSpaceError):
        make_release(site.depot, path, now=NOW)
    monkeypatch.undo()
    assert contents(site.depot) == set()
    assert site.release(STACK).published


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"release": "Bad Name"}, "release.yaml:2"),
        ({"unknown": 1}, "unknown"),
        ({"marking": {"level": "A/B"}}, "level"),
        ({"requires": [{"component": "nobody", "needs": "base", "version": ">=1"}]}, "no component 'nobody'"),
        ({"requires": [{"component": "base", "needs": "base", "version": "newest"}]}, "not a version range"),
        ({"version": 1.5}, "version"),
        ({"notes": "bell \x07"}, "control"),
    ],
)
def test_manifests_that_make_no_sense(site: Site, change: dict[str, Any], match: str) -> None:
    path = site.manifest(BASE, **change) if "version" not in change else site.manifest(BASE, "1")
    if "version" in change:
        path.write_text(path.read_text().replace("version: '1'", "version: 1.5", 1))
    with pytest.raises(ManifestError, match=match):
        make_release(site.depot, path, now=NOW)
    assert contents(site.depot) == set()


def test_two_components_of_one_name(site: Site) -> None:
    path = site.manifest(BASE)
    text = path.read_text()
    path.write_text(text + text[text.index("- name") :])
    with pytest.raises(ManifestError, match="distinct"):
        make_release(site.depot, path, now=NOW)


def test_a_version_that_cannot_be_compared(site: Site) -> None:
    requires = [{"component": "base", "needs": "guard", "version": ">=2"}]
    with pytest.raises(ManifestError, match="cannot be compared"):
        site.release(STACK, versions={"guard": "blue"}, requires=requires, kinds={"guard": "guard"})


def test_weights_without_their_guard(site: Site) -> None:
    """THREATS, content: weights without the guard they require."""
    requires = [{"component": "base", "needs": "guard", "version": ">=2.0"}]
    with pytest.raises(RequirementError) as caught:
        site.release(BASE, requires=requires)
    assert caught.value.exit_code == 6
    with pytest.raises(RequirementError):
        site.release(STACK, requires=requires, versions={"guard": "1.9"}, kinds={"guard": "guard"})
    result = site.release(STACK, requires=requires, versions={"guard": "2.0"}, kinds={"guard": "guard"})
    assert "requires: base needs guard >=2.0" in result.differences


def test_unrecognised_files_are_named(site: Site) -> None:
    path = site.manifest({"base": BASE["base"] | {"weights.dat": noise(3, 500)}})
    assert make_release(site.depot, path, now=NOW).unrecognised == ("base/weights.dat",)


def test_skipped_files_are_named(site: Site) -> None:
    path = site.manifest({"base": BASE["base"] | {".git/HEAD": b"x"}})
    assert make_release(site.depot, path, now=NOW).skipped == ("base/.git",)


def test_a_missing_source(site: Site) -> None:
    path = site.manifest(BASE)
    shutil.rmtree(path.parent / "base")
    with pytest.raises(UncheckedError, match="component base"):
        make_release(site.depot, path, now=NOW)


def test_progress_ends_at_the_total(site: Site) -> None:
    seen: list[tuple[str, int, int]] = []
    path = site.manifest(STACK)
    make_release(
        site.depot, path, now=NOW, progress=lambda stage, done, total: seen.append((stage, done, total))
    )
    total = 2 * len(weights(1)) + 2
    assert max(seen) == ("gathering", total, total)


# -- from a Hugging Face endpoint ------------------------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def from_hub(
    site: Site, monkeypatch: pytest.MonkeyPatch, sha256: str, name: str = "model.safetensors"
) -> ReleaseResult:
    blob = site.folder / "blob"
    blob.write_bytes(weights(1))

    def fetch(wanted: Wanted, **_: object) -> Fetched:
        assert wanted.include == ["*.safetensors"]
        return Fetched(wanted.repo, wanted.revision, {name: blob}, {name: sha256}, len(weights(1)))

    monkeypatch.setattr(gather, "fetch_commit", fetch)
    path = site.folder / "hub.yaml"
    path.write_text(
        f"""airlift: 1
release: hubbed
version: "1"
marking: {{level: UNCLASSIFIED}}
components:
  - name: base
    kind: model
    version: "2.0"
    license: Apache-2.0
    source: {{hub: org/name, revision: {COMMIT!r}, include: ["*.safetensors"]}}
"""
    )
    return make_release(site.depot, path, now=NOW)


def test_a_component_from_the_hub(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    result = from_hub(site, monkeypatch, hashlib.sha256(weights(1)).hexdigest())
    (component,) = site.depot.load_release(result.digest).components
    assert component.license == "Apache-2.0"
    assert component.source == {
        "kind": "hub",
        "repo": "org/name",
        "revision": COMMIT,
        "include": ["*.safetensors"],
    }


def test_a_cache_that_was_tampered_with(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DigestError, match="not what the endpoint says"):
        from_hub(site, monkeypatch, "0" * 64)
    assert contents(site.depot) == set()


def test_the_hub_is_judged_as_any_source(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ForbiddenFileError):
        from_hub(site, monkeypatch, "0" * 64, "model.safetensors.part")
