"""Images: every blob is reached and is what names it; what an image does not have is refused (SPEC L2.15)."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airlift.errors import ForbiddenFileError
from airlift.intake.collect import collect, survey
from airlift.intake.gate.forms import image, image_documents
from tests.support import oci_layouts as oci
from tests.support.taking import ONLY_DIGESTED

LAYERS = (oci.layer({"etc/os-release": b"ID=demo\n"}), oci.layer({"app/run": b"\x7fELF" + bytes(99)}))
Files = dict[str, bytes]


def gather(folder: Path, files: Files) -> tuple[str, ...]:
    """Return what the gate did not recognise."""
    oci.write(folder / "engine", files)
    found = survey("engine", folder / "engine")
    return collect("engine", "image", found, ONLY_DIGESTED, lambda _count: None).unrecognised


def refuse(folder: Path, files: Files, reason: str) -> ForbiddenFileError:
    with pytest.raises(ForbiddenFileError, match=reason) as caught:
        gather(folder, files)
    assert caught.value.message.startswith("component engine: ")
    assert caught.value.hint
    return caught.value


def path(data: bytes) -> str:
    return f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"


def rewritten(change: Callable[[dict[str, Any]], object], *, packed: bool = False) -> Files:
    """Return a layout whose manifest was changed, and is named by what it then is."""
    files = oci.image(LAYERS, packed=packed)
    (named,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(files.pop(image_documents.Descriptor("", named["digest"], 0).path))
    change(manifest)
    data = oci.dump(manifest)
    top = {"schemaVersion": 2, "manifests": [oci.descriptor(manifest.get("mediaType", oci.MANIFEST), data)]}
    return files | {path(data): data, "index.json": oci.dump(top)}


@pytest.mark.parametrize("packed", [False, True])
def test_an_image_passes_and_is_known(tmp_path: Path, *, packed: bool) -> None:
    assert gather(tmp_path, oci.image(LAYERS, packed=packed)) == ()


def test_what_is_in_a_layer_is_not_looked_at(tmp_path: Path) -> None:
    """A layer with Python's own test data was refused for a pickle in it."""
    inside = oci.layer({"usr/lib/data.pkl": b"\x80\x04cos\nsystem\n(S'id'\ntR.", "usr/bin/run": b"\x7fELF"})
    assert gather(tmp_path, oci.image([inside])) == ()


def test_images_for_several_platforms_share_blobs(tmp_path: Path) -> None:
    one, other = oci.image(LAYERS), oci.image(LAYERS[:1])
    named = [json.loads(files["index.json"])["manifests"][0] for files in (one, other)]
    inner = oci.dump({"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": named})
    top = oci.dump({"schemaVersion": 2, "manifests": [oci.descriptor(oci.INDEX, inner)]})
    assert gather(tmp_path, one | other | {path(inner): inner, "index.json": top}) == ()


def test_a_layout_without_its_marks_is_none(tmp_path: Path) -> None:
    for number, name in enumerate(("oci-layout", "index.json")):
        files = oci.image(LAYERS)
        del files[name]
        refuse(tmp_path / str(number), files, "it is no OCI image layout")


@pytest.mark.parametrize("name", ["manifest.json", "blobs/sha256/abc", "blobs/md5/" + "0" * 32, "run.sh"])
def test_other_files_are_refused(tmp_path: Path, name: str) -> None:
    refused = refuse(tmp_path, oci.image(LAYERS) | {name: b"x"}, "is no part of an OCI image layout")
    assert "exclude" in (refused.hint or "")


def test_a_blob_that_nothing_reaches_is_refused(tmp_path: Path) -> None:
    """THREATS, content: what rides along in a layout and no reader of it would see."""
    stray = b"what nobody asked for"
    refused = refuse(tmp_path, oci.image(LAYERS) | {path(stray): stray}, "1 blobs are reached by nothing")
    assert refused.found == path(stray)


def test_a_missing_blob_is_refused(tmp_path: Path) -> None:
    files = oci.image(LAYERS)
    del files[path(LAYERS[1])]
    refuse(tmp_path, files, "names a blob that is not there")


@pytest.mark.parametrize("place", [0, 700, -1])
def test_a_changed_blob_is_refused(tmp_path: Path, place: int) -> None:
    files = oci.image(LAYERS)
    data = bytearray(LAYERS[0])
    data[place] ^= 1
    files[path(LAYERS[0])] = bytes(data)
    refuse(tmp_path, files, "is not what its name says")


def test_another_size_is_refused(tmp_path: Path) -> None:
    refuse(tmp_path, rewritten(lambda m: m["layers"][0].update(size=1)), "has another size than")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m["layers"][0].update(mediaType="application/vnd.cncf.model.weight.v1.raw"), "media type"),
        (lambda m: m["config"].update(mediaType="application/vnd.oci.empty.v1+json"), "media type"),
        (lambda m: m["layers"][0].update(mediaType=f"{oci.LAYER}+gzip"), "is not what"),
        (lambda m: m["layers"][0].update(mediaType="application/vnd.in-toto+json"), "is not what"),
        (lambda m: m["layers"].reverse(), "another layer than its configuration"),
        (lambda m: m["layers"].pop(), "other layers than its configuration"),
        (lambda m: m["layers"][0].update(digest="sha256:../../x"), "digest that is none"),
        (lambda m: m["layers"][0].update(data="eA=="), "'data' that is not"),
        (lambda m: m.update(schemaVersion=1), "unknown version"),
        (lambda m: m.update(layers={}), "'layers' must be a list"),
        (lambda m: m.pop("config"), "lacks 'config'"),
    ],
)
def test_a_manifest_is_read_strictly(tmp_path: Path, change: Callable[[Any], object], reason: str) -> None:
    refuse(tmp_path, rewritten(change), reason)


def test_a_manifest_that_calls_itself_another_thing_is_refused(tmp_path: Path) -> None:
    files = rewritten(lambda m: m.update(mediaType=oci.INDEX))
    refuse(tmp_path / "a", files, "lacks 'manifests'")
    data = oci.dump({"schemaVersion": 2, "mediaType": oci.MANIFEST, "manifests": []})
    top = {"schemaVersion": 2, "manifests": [oci.descriptor(oci.INDEX, data)]}
    refuse(tmp_path / "b", oci.layout(top, [data]), "states another media type")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("oci-layout", b'{"imageLayoutVersion": "2.0.0"}', "unknown version"),
        ("oci-layout", b"{}", "lacks 'imageLayoutVersion'"),
        ("index.json", b'{"schemaVersion": 2, "manifests": [], "manifests": []}', "same key twice"),
        ("index.json", b'{"schemaVersion": 2, "mediaType": ["x"], "manifests": []}', "must be a string"),
        ("index.json", b'{"schemaVersion": 2, "manifests": [1]}', "lacks 'digest'"),
        ("index.json", b"[" * 100_000, "is not"),
        ("index.json", b"\xff", "is not JSON"),
    ],
)
def test_documents_are_strict_json(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    refuse(tmp_path, oci.image(LAYERS) | {name: data}, reason)


def test_an_index_that_names_a_layer_is_refused(tmp_path: Path) -> None:
    top = {"schemaVersion": 2, "manifests": [oci.descriptor(oci.LAYER, LAYERS[0])]}
    refuse(tmp_path, oci.layout(top, [LAYERS[0]]), "media type that an image does not have")


def test_depth_number_and_length_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = oci.image(LAYERS)
    named = json.loads(files["index.json"])["manifests"]
    for _ in range(image.MAX_DEPTH + 1):
        data = oci.dump({"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": named})
        files[path(data)], named = data, [oci.descriptor(oci.INDEX, data)]
    files["index.json"] = oci.dump({"schemaVersion": 2, "manifests": named})
    refuse(tmp_path / "deep", files, "nested too deeply")
    monkeypatch.setattr(image, "MAX_NAMED", 3)
    refuse(tmp_path / "many", oci.image(LAYERS), "names too many blobs")
    monkeypatch.setattr(image, "MAX_TEXT", 100)
    refuse(tmp_path / "long", oci.image(LAYERS), "too long")


def test_a_long_document_is_not_read(tmp_path: Path) -> None:
    data = b'{"schemaVersion": 2, "manifests": []}'.ljust(image_documents.MAX_BYTES + 1)
    refuse(tmp_path, oci.image(LAYERS) | {"index.json": data}, "index.json is too long")
