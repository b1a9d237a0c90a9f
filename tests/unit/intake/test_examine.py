"""The gate over a release that is laid out: the same judgement as when it was made, minus its waivers."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from airlift.bundle.component.component import Component
from airlift.bundle.component.parent import Parent
from airlift.bundle.component.waiver import Waiver
from airlift.bundle.fields import Marking
from airlift.bundle.release import Release
from airlift.errors import InventoryError, UncheckedError
from airlift.intake.collect import collect, survey
from airlift.intake.examine import examine_release
from airlift.intake.gate.verdict import KINDS
from tests.support import made_wheels, oci_layouts
from tests.support.drifting import TOKENS, configuration, embedded, tokenizer
from tests.support.packed import pickled
from tests.support.taking import ONLY_DIGESTED
from tests.support.weights import component, weights

BASE = {
    "config.json": configuration(vocab_size=8),
    "model.safetensors": embedded(8),
    "tokenizer.json": tokenizer(),
}


def laid_out(
    tree: Path,
    name: str,
    files: Mapping[str, bytes],
    *accept: Waiver,
    kind: str = "model",
    of: Component | None = None,
) -> Component:
    """Write a component, and return it as a release states it."""
    component(tree / name, files)
    found = collect(
        name, kind, survey(name, tree / name), ONLY_DIGESTED, lambda _count: None, accepted=frozenset(KINDS)
    )
    parents = (Parent("adapter-of", of.name, of.version, of.digest),) if of else ()
    source = {"kind": "path", "path": name}
    return Component(name, kind, "1", "", source, found.entries, parents, accept=accept)


def said(tree: Path, *components: Component) -> list[str]:
    release = Release("assistant", "1", Marking("UNCLASSIFIED"), "", components, ())
    return [str(finding) for finding in examine_release(release, tree)]


def test_a_good_release_has_no_findings(tmp_path: Path) -> None:
    base, data = laid_out(tmp_path, "base", BASE), laid_out(tmp_path, "data", {"a": b"x"}, kind="data")
    assert said(tmp_path, base, data) == []


def test_an_image_that_is_no_longer_one_is_found(tmp_path: Path) -> None:
    """The enclave's gate holds forms against what is laid out, as the low side's did (SPEC L2.15)."""
    engine = laid_out(tmp_path, "engine", oci_layouts.image([oci_layouts.layer({"a": b"x"})]), kind="image")
    assert said(tmp_path, engine) == []
    lacking = replace(engine, files=tuple(entry for entry in engine.files if entry.path != "oci-layout"))
    assert said(tmp_path, lacking) == ["engine: it is no OCI image layout (no oci-layout)"]
    less = replace(engine, files=engine.files[1:])
    (missing,) = said(tmp_path, less)
    assert "names a blob that is not there" in missing
    (tmp_path / "engine/index.json").write_bytes(b"{}")
    with pytest.raises(UncheckedError, match=r"index\.json was changed"):
        said(tmp_path, engine)


def test_wheels_and_charts_are_judged_where_they_are_laid_out(tmp_path: Path) -> None:
    name, archive = "demo-1.0-py3-none-any.whl", "engine-0.1.0.tgz"
    tools = laid_out(tmp_path, "tools", {name: made_wheels.wheel()}, kind="wheels")
    deploy = laid_out(tmp_path, "deploy", {archive: made_wheels.chart()}, kind="chart")
    assert said(tmp_path, deploy, tools) == []
    (tmp_path / "tools" / name).write_bytes(made_wheels.wheel(version="1.1"))
    (tmp_path / "deploy" / archive).write_bytes(made_wheels.chart(version="0.2.0"))
    other_chart, other_wheel = said(tmp_path, deploy, tools)
    assert "another chart than its name says" in other_chart
    assert "something else than its name" in other_wheel


def test_what_the_gate_objects_to_is_found(tmp_path: Path) -> None:
    files = BASE | {"z.bin": pickled(), "tokenizer.json": tokenizer(added={"<pad>": 8})}
    pickle, drift = said(tmp_path, laid_out(tmp_path, "base", files))
    assert pickle == "base: z.bin is or holds a pickle, judging by its content"
    assert drift == (
        "base: tokenizer.json has tokens with ids for which the model beside it has no room "
        "(id 8, and 8 by the rows of 'model.embed_tokens.weight')"
    )


def test_waivers_let_through_the_files_that_they_name(tmp_path: Path) -> None:
    """THREATS, content: a waiver for more than it names."""
    files = {"a.bin": pickled(), "b.bin": pickled()}
    assert (
        said(tmp_path, laid_out(tmp_path, "base", files, Waiver("pickle", "why", ("a.bin", "b.bin")))) == []
    )
    (only,) = said(tmp_path, laid_out(tmp_path, "base", files, Waiver("pickle", "why", ("a.bin",))))
    assert only.startswith("base: b.bin is or holds a pickle")
    assert (
        len(said(tmp_path, laid_out(tmp_path, "base", files, Waiver("code", "why", ("a.bin", "b.bin"))))) == 2
    )


def test_what_no_waiver_meets_is_found_as_well(tmp_path: Path) -> None:
    base = laid_out(tmp_path, "base", {"model.safetensors": weights(1), "m.onnx": b"x"})
    (tmp_path / "base/model.safetensors").write_bytes(weights(1)[:-1])
    (tmp_path / "base/m.onnx").write_bytes(b"")
    found = said(tmp_path, base)
    assert found[0] == "base: m.onnx is empty"
    assert found[1].startswith("base: model.safetensors is not a valid safetensors file: ")


def test_an_adapter_beside_its_parent(tmp_path: Path) -> None:
    base = laid_out(tmp_path, "base", BASE)
    for tokens, count in ((TOKENS, 0), (TOKENS[::-1], 1)):
        files = {"adapter_model.safetensors": weights(2), "tokenizer.json": tokenizer(tokens)}
        docs = laid_out(tmp_path, "docs", files, kind="adapter", of=base)
        assert len(said(tmp_path, base, docs)) == count
        waived = Waiver("drift", "why", ("tokenizer.json",))
        assert said(tmp_path, base, laid_out(tmp_path, "docs", files, waived, kind="adapter", of=base)) == []


def test_a_tree_that_lacks_a_file_cannot_be_judged(tmp_path: Path) -> None:
    base = laid_out(tmp_path, "base", BASE)
    (tmp_path / "base/config.json").unlink()
    with pytest.raises(UncheckedError):
        said(tmp_path, base)
    (tmp_path / "base/config.json").symlink_to("/etc/hostname")
    with pytest.raises(InventoryError):
        said(tmp_path, base)
