"""A draft, completed by a person, is released as it stands; what the gate has against it is told (SPEC L3.5)."""

from pathlib import Path

import pytest
import yaml

from airlift.errors import ExistsError, ForbiddenFileError, ManifestError, UncheckedError
from airlift.low.drafting.draft import MAX_TOLD, draft
from airlift.low.release.make_release import make_release
from airlift.low.release.placeholder import FILL_IN
from tests.support import keys
from tests.support.depots import NOW, RELEASERS, Site, signed_site
from tests.support.packed import pickled
from tests.support.weights import component, weights

STACK = {
    "base": {"model.safetensors": weights(1), "config.json": b"{}"},
    "guard": {"guard.safetensors": weights(2)},
}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return signed_site(tmp_path)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two models, an adapter, and one that the gate objects to."""
    folder = tmp_path / "models"
    component(folder / "Base-2", {"model.safetensors": weights(3), "README.md": b"---\nlicense: mit\n---\n"})
    component(folder / "guard", {"guard.safetensors": weights(2)})
    adapter = b'{"base_model_name_or_path": "org/Base-2"}'
    component(folder / "docs", {"adapter_model.safetensors": weights(4), "adapter_config.json": adapter})
    component(
        folder / "odd", {"config.json": b'{"auto_map": {}}', "model.safetensors": weights(5), "code.py": b"1"}
    )
    return folder


def release(site: Site, path: Path) -> str:
    """Release a manifest and return the name of the release."""
    signers = [keys.signer(name) for name in RELEASERS[:2]]
    result = make_release(site.depot, path, signers=signers, now=NOW)
    assert result.published
    return result.release


def test_a_draft_is_released_once_it_is_filled_in(site: Site, models: Path) -> None:
    site.release(
        STACK,
        "2026.1",
        kinds={"guard": "guard"},
        requires=[{"component": "base", "needs": "guard", "version": ">0"}],
    )
    path = site.folder / "drafts" / "new.yaml"
    path.parent.mkdir()
    result = draft([models / "Base-2", models / "guard", models / "docs"], depot=site.depot, output=path)
    assert path.read_text() == result.manifest
    assert (result.release, result.lacking) == ("assistant@2026.2", ())
    with pytest.raises(ManifestError, match=r"new\.yaml: marking\.level is still to be filled in") as caught:
        release(site, path)
    assert caught.value.exit_code == 2
    path.write_text(result.manifest.replace(FILL_IN, "UNCLASSIFIED"))
    assert release(site, path) == "assistant@2026.2"
    made = {item.name: item for item in site.depot.load_release(site.depot.releases()[-1].digest).components}
    assert {name: (item.kind, item.version) for name, item in made.items()} == {
        "base": ("model", "2026.2"),
        "guard": ("guard", "2026.1"),
        "docs": ("adapter", "1"),
    }
    assert made["base"].license == "mit"
    (parent,) = made["docs"].parents
    assert (parent.relation, parent.digest) == ("adapter-of", made["base"].digest)
    assert yaml.safe_load(result.manifest)["requires"] == [
        {"component": "base", "needs": "guard", "version": ">0"}
    ]


def test_the_same_folders_again_change_no_version(site: Site, models: Path) -> None:
    path = site.folder / "one.yaml"
    text = draft([models / "guard", models / "docs"], output=path).manifest
    path.write_text(text.replace(FILL_IN, "UNCLASSIFIED"))
    label = release(site, path)
    again = draft([models / "guard"], depot=site.depot)
    assert [(item.name, item.version) for item in again.components] == [("guard", "1")]
    assert again.lacking == ("docs 1",)
    assert "# a release is the whole set, and no folder was given for: docs 1\n" in again.manifest
    assert f"version: '1'  # the same files as in {label}\n" in again.manifest


def test_what_the_gate_has_against_it(models: Path) -> None:
    result = draft([models / "odd"])
    (item,) = result.components
    assert [text.partition(":")[0] for text in item.objections] == [
        "low release will object (code)",
        "low release will object (remote-code)",
    ]
    for text in item.objections:
        assert f"  # {text}\n" in result.manifest
    waiver = f"    # accept: [{{what: code, reason: {FILL_IN}}}, {{what: remote-code, reason: {FILL_IN}}}]\n"
    assert waiver in result.manifest


def test_files_that_are_not_needed_can_be_left_out(site: Site, tmp_path: Path) -> None:
    """Of a trainer's folder the state of the optimizer is not part of the model."""
    content = {"model.safetensors": weights(1), "optimizer.pt": pickled(), "deep/rng_state.pth": pickled()}
    component(tmp_path / "trained", content)
    path = site.folder / "release.yaml"
    text = draft([tmp_path / "trained"], output=path).manifest
    lines = ("exclude:", "- deep/rng_state.pth", "- optimizer.pt")
    for line in lines:
        assert f"      # {line}\n" in text
        text = text.replace(f"      # {line}\n", f"      {line}\n")
    path.write_text(text.replace(FILL_IN, "UNCLASSIFIED"))
    assert release(site, path)


def test_what_nothing_can_meet(models: Path) -> None:
    component(models / "cut", {"model.safetensors": weights(1)[:-1]})
    (item,) = draft([models / "cut"]).components
    assert item.objections[0].startswith(
        "low release will refuse it: component cut: model.safetensors is not a valid"
    )
    assert item.version == "1"


def test_objections_are_bounded(models: Path) -> None:
    code = {f"{number}.py": b"import os\n" for number in range(MAX_TOLD + 5)}
    component(models / "many", code | {"model.safetensors": weights(1)})
    (item,) = draft([models / "many"]).components
    assert len(item.objections) == MAX_TOLD + 1
    assert item.objections[-1] == "and 5 more"


def test_text_of_strangers_stays_in_comments(tmp_path: Path) -> None:
    """Threat: a model card that writes lines of the manifest, or into the terminal of who reads it."""
    hostile = '---\nlicense: mit\nbase_model: "x\\nmarking: {level: LOW}\\u001b[2J"\n---\n'
    component(tmp_path / "m", {"model.safetensors": weights(1), "README.md": hostile.encode()})
    result = draft([tmp_path / "m"])
    assert yaml.safe_load(result.manifest)["marking"] == {"level": FILL_IN, "caveats": []}
    assert result.manifest.replace("\n", "").isprintable()
    assert "x\\nmarking: {level: LOW}\\x1b[2J" in result.manifest


def test_a_hub_and_paths_from_the_manifest(tmp_path: Path) -> None:
    commit = "0123456789" * 4
    folder = tmp_path / "models--org--Tiny" / "snapshots" / commit
    component(folder, {"model.safetensors": weights(1)})
    component(tmp_path / "a b", {"rows.jsonl": b"{}"})
    (tmp_path / "out").mkdir()
    text = draft([folder, tmp_path / "a b"], output=tmp_path / "out" / "r.yaml").manifest
    first, second = yaml.safe_load(text)["components"]
    assert (first["name"], first["source"]) == ("tiny", {"hub": "org/Tiny", "revision": commit})
    assert (second["name"], second["source"]) == ("a-b", {"path": "../a b"})
    assert yaml.safe_load(text)["release"] == "release"


def test_nothing_is_overwritten(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.symlink_to("nowhere")
    with pytest.raises(ExistsError):
        draft([models / "guard"], output=path)
    assert path.is_symlink()


def test_no_folder_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(UncheckedError):
        draft([tmp_path / "no"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ForbiddenFileError):
        draft([tmp_path / "empty"])
