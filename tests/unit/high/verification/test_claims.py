"""Validly signed, and contradicting itself: what somebody with the bundler's key may claim, and is refused for."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airlift.bundle import manifest, volume
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import Bundle, ReleaseRef
from airlift.errors import (
    AirliftError,
    BaselineError,
    DigestError,
    InventoryError,
    MalformedError,
)
from airlift.high.enclave.gc import collect_garbage
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.importing.preview import plan_import, prove_bundle
from airlift.high.verification.inspect import inspect_volumes
from airlift.low.bundle.check_volumes import check_volumes
from airlift.trust.tuf.metadata import SEQUENCE, SNAPSHOT, TARGETS, TIMESTAMP
from airlift.trust.tuf.roles import BUNDLER
from tests.support import forge
from tests.support.depots import NOW, Site
from tests.support.enclaves import (
    V1,
    V2,
    attempt,
    copy,
    enclave,
    operator,
    overwrite,
    reseal,
    site,
    take,
    volumes,
)
from tests.support.rebuild import load_bundle

pytestmark = pytest.mark.usefixtures("quick_disk")

OLD, NEW = V1["base"]["model.safetensors"], V2["base"]["model.safetensors"]


# -- metadata ------------------------------------------------------------------------------------------------------


def test_a_volume_that_is_signed_anew_is_taken(tmp_path: Path) -> None:
    """What the tests below refuse is refused for its one fault and not because it was signed anew."""
    paths = volumes("uncut", tmp_path)
    for role in (TARGETS, BUNDLER, SNAPSHOT, TIMESTAMP):
        forge.restate(paths[0], role, lambda _signed: None)
    check_volumes(paths)
    assert import_bundle(enclave("fresh", tmp_path), paths, operator=operator()).installed


@pytest.mark.parametrize("role", [BUNDLER, SNAPSHOT, TIMESTAMP])
def test_bundler_snapshot_and_timestamp_of_several_versions(tmp_path: Path, role: str) -> None:
    """Broke: a timestamp could have any version beside N.snapshot.json and N.bundler.json (SPEC 6.4-2)."""

    def later(signed: dict[str, Any]) -> None:
        signed["version"] += 1

    paths = volumes("uncut", tmp_path)
    forge.restate(paths[0], role, later)
    refused_by_all(tmp_path, paths, InventoryError)


@pytest.mark.parametrize("change", ["none", "hole", "no first"])
def test_a_volume_without_all_roots(tmp_path: Path, change: str) -> None:
    """Broke: a volume without any root was imported where its root was known (SPEC 6.4-2)."""
    paths = volumes("uncut", tmp_path)
    root = paths[0] / volume.METADATA / "1.root.json"
    data = root.read_bytes()
    root.unlink()
    if change != "none":
        overwrite(root.with_name("3.root.json" if change == "hole" else "2.root.json"), data)
    if change == "hole":
        overwrite(root, data)
    reseal(paths[0])
    refused_by_all(tmp_path, paths, InventoryError)


@pytest.mark.parametrize(
    "name", ["notes.json", "01.snapshot.json", "2.timestamp.json", "99.targets.json", "1.mirrors.json"]
)
def test_a_metadata_file_that_nothing_needs(tmp_path: Path, name: str) -> None:
    paths = volumes("uncut", tmp_path)
    overwrite(paths[0] / volume.METADATA / name, b"{}")
    reseal(paths[0])
    refused_by_all(tmp_path, paths, InventoryError)


def refused_by_all(tmp_path: Path, paths: list[Path], error: type[AirliftError]) -> None:
    """Check that whoever reads the volumes refuses them, with or without trust."""
    place = enclave("fresh", tmp_path)
    for read in (
        check_volumes,
        inspect_volumes,
        lambda paths: plan_import(place, paths, NOW),
        lambda paths: prove_bundle(place, paths, NOW),
    ):
        with pytest.raises(error):
            read(paths)
    attempt(place, paths, error, 3)


def released(made: Bundle) -> str:
    """Return the digest of the release that a bundle leads to."""
    assert made.target is not None
    return made.target.digest


WHERE: Mapping[str, tuple[str, Callable[[dict[str, Any], Bundle], dict[str, Any]]]] = {
    "revocations": (TARGETS, lambda signed, _: signed["targets"]["revocations"]),
    "release": (TARGETS, lambda signed, made: signed["targets"][f"release-{released(made)[:64]}"]),
    "bundle": (BUNDLER, lambda signed, made: signed["targets"][f"bundle-{made.digest[:64]}"]),
    "bundler": (SNAPSHOT, lambda signed, _: signed["meta"]["bundler.json"]),
    "snapshot": (TIMESTAMP, lambda signed, _: signed["meta"]["snapshot.json"]),
}


@pytest.mark.parametrize("algorithm", ["sha256", "sha384"])
@pytest.mark.parametrize("what", WHERE)
def test_a_wrong_digest_beside_the_right_one(tmp_path: Path, what: str, algorithm: str) -> None:
    """Broke: a SHA-256 beside the SHA-512 of a target was not even looked at (SPEC 4.2-10)."""
    paths, (role, entry) = volumes("uncut", tmp_path), WHERE[what]
    wrong = hashlib.new(algorithm, b"something else").hexdigest()
    made = load_bundle(paths[0])
    forge.restate(paths[0], role, lambda signed: entry(signed, made)["hashes"].update({algorithm: wrong}))
    attempt(enclave("fresh", tmp_path), paths, DigestError, 3)


def test_right_digests_beside_the_right_one(tmp_path: Path) -> None:
    low = site(tmp_path)
    made = forge.describe(low, "assistant@1")
    paths = forge.publish(low, made, [], tmp_path / "out")
    texts = {
        forge.digest(p.read_bytes()).sha512: p.read_bytes() for p in (paths[0] / volume.MANIFESTS).iterdir()
    }

    def more(signed: dict[str, Any]) -> None:
        for entry in signed["targets"].values():
            data = texts.get(entry["hashes"]["sha512"])
            if data is not None:
                entry["hashes"]["sha256"] = hashlib.sha256(data).hexdigest()
                entry["hashes"]["sha384"] = hashlib.sha384(data).hexdigest()

    forge.restate(paths[0], TARGETS, more)
    forge.restate(paths[0], BUNDLER, more)
    assert import_bundle(enclave("one", tmp_path), paths, operator=operator()).installed


def test_a_sequence_above_the_one_that_the_bundler_states(tmp_path: Path) -> None:
    """Broke: a bundle could have a later sequence than the highest ever used (SPEC 4.2-7)."""
    low, place = site(tmp_path), enclave("one", tmp_path)
    made = forge.describe(low, "assistant@1")
    paths = forge.publish(
        low, replace(made, sequence=made.sequence + 5), [], tmp_path / "evil", listed_as=made.sequence
    )
    attempt(place, paths, MalformedError, 3)


def test_a_bundler_that_states_less_than_it_lists(tmp_path: Path) -> None:
    def less(signed: dict[str, Any]) -> None:
        signed[SEQUENCE] = 1

    paths = volumes("renewal", tmp_path)
    forge.restate(paths[0], BUNDLER, less)
    attempt(enclave("one", tmp_path), paths, MalformedError, 3)


# -- chunks --------------------------------------------------------------------------------------------------------


def test_a_chunk_whose_sha256_is_not_the_one_that_the_volume_lists(tmp_path: Path) -> None:
    """Broke: only `low check` and `sha256sum -c` noticed (SPEC 6.4-1)."""
    paths = volumes("full", tmp_path)
    lie(paths[0])
    place = enclave("fresh", tmp_path)
    for read in (check_volumes, lambda paths: prove_bundle(place, paths, NOW)):
        with pytest.raises(DigestError):
            read(paths)
    attempt(place, paths, DigestError, 3)


def test_a_chunk_that_another_volume_lists_rightly(tmp_path: Path) -> None:
    """A copy that its volume lists wrongly is passed over like a damaged one (SPEC 6.4-5)."""
    paths = volumes("full", tmp_path)
    other = copy(paths[0], tmp_path / "again" / paths[0].name)
    lie(paths[0])
    assert import_bundle(enclave("fresh", tmp_path), [*paths, other], operator=operator()).installed


def lie(folder: Path) -> None:
    """Let SHA256SUMS list another digest for the first chunk, and volume.json that SHA256SUMS."""
    sums = volume.parse_sums((folder / volume.SUMS).read_bytes())
    sums[next(path for path in sums if path.startswith(f"{volume.CHUNKS}/"))] = "0" * 64
    overwrite(folder / volume.SUMS, volume.format_sums(sums))
    index = volume.parse_index((folder / volume.INDEX).read_bytes())
    claimed = hashlib.sha512((folder / volume.SUMS).read_bytes()).hexdigest()
    overwrite(folder / volume.INDEX, volume.format_index(replace(index, sums=claimed)))


# -- the baseline --------------------------------------------------------------------------------------------------


def delta(tmp_path: Path, change: Callable[[Bundle, Site], Bundle] = lambda made, _: made) -> list[Path]:
    """Publish a delta from release 1 to release 2 whose manifest is changed before it is signed."""
    low = site(tmp_path)
    made = change(forge.describe(low, "assistant@2", files=[NEW], bases=[OLD]), low)
    return forge.publish(low, made, forge.packed(forge.raw(0, 0, NEW)), tmp_path / "medium")


def labelled(low: Site, label: str) -> ReleaseRef:
    """Return how a bundle names a release."""
    return next(item for item in low.depot.releases() if item.label == label)


def test_a_delta_that_is_made_by_hand_is_taken(tmp_path: Path) -> None:
    assert import_bundle(enclave("one", tmp_path), delta(tmp_path), operator=operator()).installed


@pytest.mark.parametrize("named", [{"version": "9"}, {"name": "another"}])
def test_a_baseline_under_another_name(tmp_path: Path, named: dict[str, str]) -> None:
    """Broke: the record would have said that it was made from a release of that name (SPEC 6.2-5)."""
    paths = delta(
        tmp_path, lambda made, low: replace(made, baseline=replace(labelled(low, "assistant@1"), **named))
    )
    depot = Site(tmp_path / "site").depot
    depot.documents.keep(manifest.format(load_bundle(paths[0])))
    with pytest.raises(MalformedError):
        check_volumes(paths, depot=depot)
    attempt(enclave("one", tmp_path), paths, MalformedError, 3)


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_baseline_that_is_the_target_beside_files_to_rebuild(tmp_path: Path, name: str) -> None:
    """Broke: it was taken, with what its own baseline has (SPEC 6.2-4)."""
    paths = delta(tmp_path, lambda made, _: replace(made, baseline=made.target, bases=()))
    with pytest.raises(MalformedError):
        check_volumes(paths)
    attempt(enclave(name, tmp_path), paths, MalformedError, 3)


def test_a_baseline_that_is_the_target_under_another_name(tmp_path: Path) -> None:
    low = site(tmp_path)
    other = replace(labelled(low, "assistant@2"), version="9")
    made = forge.describe(low, "assistant@2", baseline=other)
    paths = forge.publish(low, made, [], tmp_path / "evil")
    with pytest.raises(MalformedError):
        check_volumes(paths)
    attempt(enclave("two", tmp_path), paths, MalformedError, 3)


def test_a_bundle_from_a_release_to_itself(tmp_path: Path) -> None:
    """It brings fresh metadata to who has the release, and means nothing to others."""
    made = site(tmp_path).bundle("assistant@2", "again", from_="assistant@2")
    paths = [item.path for item in made.volumes]
    check_volumes(paths)
    assert import_bundle(enclave("two", tmp_path), paths, operator=operator()).installed
    attempt(enclave("one", tmp_path), paths, BaselineError, 5)


@pytest.mark.parametrize("known", [True, False])
def test_a_baseline_that_is_not_held_and_not_needed(tmp_path: Path, *, known: bool) -> None:
    """Broke: a delta from what the enclave never had was installed and recorded as one (SPEC 6.2-6)."""

    def other(made: Bundle, low: Site) -> Bundle:
        baseline = labelled(low, "assistant@3") if known else ReleaseRef("0" * 128, "assistant", "0")
        return replace(made, baseline=baseline, bases=())

    place, paths = enclave("one", tmp_path), delta(tmp_path, other)
    attempt(place, paths, BaselineError, 5)
    with pytest.raises(BaselineError):
        plan_import(place, paths, NOW)


def test_a_baseline_that_was_collected(tmp_path: Path) -> None:
    """The enclave knows what it was; of its content only what the bundle needs must be there."""
    place = enclave("two", tmp_path)
    take(place, "step", activate=True)
    assert collect_garbage(place, 1, operator=operator()).removed == ("assistant@1",)
    assert import_bundle(place, delta(tmp_path), operator=operator()).installed


def test_a_file_that_the_baseline_holds(tmp_path: Path) -> None:
    """Broke: SPEC 6.1 says that it is not part of the bundle, and it was taken."""
    low, held = site(tmp_path), V1["base"]["LICENSE"]
    made = forge.describe(low, "assistant@2", files=[NEW, held], bases=[OLD])
    packed = forge.packed(forge.raw(0, 0, NEW), forge.raw(1, 0, held))
    attempt(enclave("one", tmp_path), forge.publish(low, made, packed, tmp_path / "evil"), MalformedError, 3)


@pytest.mark.parametrize("base", [FileDigest("0" * 128, 8), replace(forge.digest(OLD), size=8)])
def test_a_base_that_the_baseline_does_not_hold(tmp_path: Path, base: FileDigest) -> None:
    paths = delta(tmp_path, lambda made, _: replace(made, bases=(base,)))
    attempt(enclave("one", tmp_path), paths, MalformedError, 3)
