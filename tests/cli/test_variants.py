"""Variants: one release, two enclaves, one in fp16 and one in int4, each with its own bundles (SPEC 5.7, 7.14).

Through the real commands of both sides.
"""

import hashlib
import json
import random
import re
import shlex
import shutil
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airlift import files, verify
from airlift.high.activation.activate import activate
from airlift.high.enclave.enclave import Operator, open_enclave
from airlift.low.bundle import make_bundle
from airlift.low.bundle.planning.coding_plan import CodingPlan
from airlift.trust.keys.load import load_signer
from tests.cli.conftest import World
from tests.cli.transcript import Transcript
from tests.support import gguf_files, pages

SIGN = ("--key", "keys/release-cy.key", "--key", "keys/release-di.key")
JSON = ("--format", "json")
BUNDLER = ("--bundler-key", "keys/bundler.key")
LABELS = {"fp16": "precision: fp16, device: cuda", "int4": "precision: int4, device: cpu"}
CHOICE = {"alpha": "fp16", "bravo": "int4"}
ROWS = 96


def home(name: str) -> tuple[str, str]:
    return ("--enclave", f"enclaves/{name}")


def weights(seed: int, changed: int = 0) -> bytes:
    """Return numbers of 2 bytes that look like a model's, of which some were changed."""
    numbers = [random.Random(seed).gauss(0, 0.02) for _ in range(ROWS * ROWS)]
    again = random.Random(seed + 1000)
    for _ in range(changed):
        numbers[again.randrange(len(numbers))] += again.gauss(0, 0.001)
    return struct.pack(f"<{len(numbers)}e", *numbers)


def safetensors(data: bytes) -> bytes:
    header = {"layer.weight": {"dtype": "F16", "shape": [ROWS, ROWS], "data_offsets": [0, len(data)]}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def gguf(data: bytes) -> bytes:
    """Return a GGUF file with one tensor in blocks of 4 bits."""
    numbers = np.frombuffer(data, np.float16).astype(np.float32)
    tensor = gguf_files.Tensor("layer.weight", (ROWS, ROWS), gguf_files.Q4_0, gguf_files.q4_0(numbers))
    return gguf_files.gguf([tensor])


def write_release(folder: Path, version: str, changed: int) -> Path:
    """Write a release of a base in two variants, a guard and a prompt."""
    sources = folder / f"variants-{version}"
    for name, data in (
        ("fp16/model.safetensors", safetensors(weights(1, changed))),
        ("int4/model.gguf", gguf(weights(2, changed))),
        ("guard/rules.txt", b"one rule\n" * 40),
    ):
        (sources / name).parent.mkdir(parents=True)
        (sources / name).write_bytes(data)
    path = folder / f"varied-{version}.yaml"
    place = f"variants-{version}"
    variants = "".join(
        f"      - {{name: base-{label}, labels: {{{LABELS[label]}}}, source: {{path: {place}/{label}}}}}\n"
        for label in ("fp16", "int4")
    )
    path.write_text(
        f"airlift: 1\nrelease: varied\nversion: '{version}'\n"
        "marking: {level: UNCLASSIFIED}\ncomponents:\n"
        f"  - name: base\n    kind: model\n    version: '{version}'\n    license: Apache-2.0\n"
        f"    variants:\n{variants}"
        f"  - {{name: watch, kind: guard, version: '1', source: {{path: variants-{version}/guard}}}}\n"
        "requires:\n  - {component: base, needs: watch, version: '>=1'}\n"
    )
    return path


def policy(name: str, rules: str) -> str:
    return f"airlift: 2\nenclave: {name}\nvariants:\n{rules}"


def choose(label: str) -> str:
    return f"  - {{component: base, labels: {{precision: {label}}}}}\n"


@pytest.fixture(scope="module")
def prepared_two(prepared: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two enclaves that have 1.0 of the release, each in its own variant, and a depot that has 1.0 and 1.1."""
    world = prepared.copy(tmp_path_factory.mktemp("variants") / "world")
    for version, changed in (("1.0", 0), ("1.1", 300)):
        write_release(world.folder, version, changed)
        world.quick("low", "release", f"varied-{version}.yaml", *SIGN, "--replace").expect(0)
    for name, label in CHOICE.items():
        world.quick("keys", "generate", f"ledger-{name}", "--out", "keys", "--no-passphrase").expect(0)
        (world.folder / f"policy-{name}.yaml").write_text(policy(name, choose(label)))
        world.quick(
            *("high", "init", *home(name), "--root", "depot/root.json", "--yes", "--name", name),
            *("--ledger-key", f"keys/ledger-{name}.key", "--policy", f"policy-{name}.yaml"),
        ).expect(0)
        key = ("--ledger-key", f"keys/ledger-{name}.pub")
        world.quick("low", "enrol", name, *key, "--variant", f"base=precision:{label}").expect(0)
        world.quick("low", "bundle", "varied@1.0", "--for", name, "--output", f"to-{name}", *BUNDLER).expect(
            0
        )
        world.quick("high", "import", *home(name), f"to-{name}", "--activate").expect(0)
    return world


@pytest.fixture
def two(prepared_two: World, tmp_path: Path) -> World:
    world = prepared_two.copy(tmp_path / "world")
    for name in CHOICE:
        config = world.folder / f"enclaves/{name}/config.yaml"
        config.write_text(config.read_text().replace(str(prepared_two.folder), str(world.folder)))
    return world


def active(world: World, name: str) -> dict[str, bytes]:
    top = (world.folder / f"enclaves/{name}/active").resolve()
    files = (path for path in sorted(top.rglob("*")) if path.is_file())
    return {str(path.relative_to(top)): path.read_bytes() for path in files}


def source(world: World, version: str, label: str) -> bytes:
    name = {"fp16": "fp16/model.safetensors", "int4": "int4/model.gguf"}[label]
    return (world.folder / f"variants-{version}" / name).read_bytes()


def receipt(world: World, name: str) -> None:
    (world.folder / f"{name}.json").unlink(missing_ok=True)
    world.quick("high", "receipt", *home(name), "--output", f"{name}.json").expect(0)
    world.quick("low", "returns", "import", f"{name}.json").expect(0)


def bundle(world: World, release: str, *words: str, output: str = "next") -> dict[str, Any]:
    return dict(
        world.quick("low", "bundle", release, "--output", output, *BUNDLER, *words, *JSON).expect(0).data
    )


def refused(said: Transcript) -> dict[str, str]:
    """Return the error of a command that refuses a choice."""
    error = json.loads(said.expect(6).out)["error"]
    assert error["code"] == "variant-refused"
    return dict(error)


def test_each_enclave_has_its_own_variant_and_nothing_of_the_other(two: World) -> None:
    for name, label in CHOICE.items():
        other = {"fp16": "int4", "int4": "fp16"}[label]
        files = active(two, name)
        assert sorted({path.split("/")[0] for path in files}) == ["base", "watch"]
        assert source(two, "1.0", label) in files.values()
        held = {p.read_bytes() for p in (two.folder / f"enclaves/{name}/content").rglob("*") if p.is_file()}
        assert source(two, "1.0", label) in held
        assert source(two, "1.0", other) not in held
        two.quick("high", "check", *home(name)).expect(0)
        listed = two.quick("high", "list", *home(name), *JSON).expect(0).data["releases"][0]
        assert [c["name"] for c in listed["components"]] == [f"base-{label}", "watch"]
        assert any(f"base-{other}" in remark and "left out" in remark for remark in listed["remarks"])
        shown = two.quick("provenance", "trace", "varied", *home(name), *JSON).expect(0).data["nodes"][0]
        relations = {
            node["name"]: node["relation"] for node in shown["parents"] if node["kind"] == "component"
        }
        assert relations == {f"base-{label}": "contains", f"base-{other}": "leaves-out", "watch": "contains"}


def test_a_delta_for_each_starts_from_what_it_holds(two: World) -> None:
    for name, label in CHOICE.items():
        receipt(two, name)
        made = bundle(two, "varied@1.1", "--for", name, output=f"next-{name}")
        assert (made["baseline"], made["baseline_known_by"]) == ("varied@1.0", "receipt")
        assert (made["variants"], made["left_out"]) == (
            [f"base-{label}"],
            [f"base-{'int4' if label == 'fp16' else 'fp16'}"],
        )
        assert made["chunk_bytes"] < len(source(two, "1.1", label)) / 4
        done = two.quick("high", "import", *home(name), f"next-{name}", "--activate", *JSON).expect(0).data
        assert (done["installed"], done["activated"]) == (True, True)
        assert source(two, "1.1", label) in active(two, name).values()
        two.quick("high", "check", *home(name)).expect(0)
        two.quick("provenance", "verify", *home(name)).expect(0)


def test_the_other_ones_choice_is_refused(two: World) -> None:
    bundle(two, "varied@1.1", "--variant", "base=precision:int4")
    before = active(two, "alpha")
    error = refused(two.quick("high", "import", *home("alpha"), "next", *JSON))
    assert "--for alpha --variant base=device:cuda,precision:fp16" in error["hint"]
    plan = two.quick("high", "plan", *home("alpha"), "next", *JSON).expect(0).data
    assert "variant-refused" in {item["code"] for item in plan["objections"]}
    assert active(two, "alpha") == before
    two.quick("high", "import", *home("bravo"), "next", "--activate").expect(0)


def test_a_bundle_without_a_choice_carries_all_and_policy_may_change_its_mind(two: World) -> None:
    made = bundle(two, "varied@1.1", "--from", "none")
    assert (made["variants"], made["left_out"]) == (["base-fp16", "base-int4"], [])
    two.quick("high", "import", *home("alpha"), "next", "--activate").expect(0)
    assert source(two, "1.1", "fp16") in active(two, "alpha").values()
    (two.folder / "other.yaml").write_text(policy("alpha", choose("int4")))
    two.quick("high", "policy", "set", "other.yaml", *home("alpha")).expect(0)
    status = two.quick("high", "status", *home("alpha"), *JSON).expect(0).data
    assert any("base-int4" in warning for warning in status["warnings"])
    done = two.quick("high", "activate", "varied@1.1", *home("alpha"), *JSON).expect(0).data
    assert (done["already"], done["previous"]) == (False, "varied@1.1")
    assert source(two, "1.1", "int4") in active(two, "alpha").values()
    two.quick("high", "check", *home("alpha")).expect(0)
    refused(two.quick("high", "rollback", *home("alpha"), *JSON))  # 1.0 is held in fp16 only
    two.quick("provenance", "verify", *home("alpha")).expect(0)


def test_another_variant_of_what_is_held_comes_as_a_delta(two: World) -> None:
    receipt(two, "alpha")
    (two.folder / "other.yaml").write_text(policy("alpha", choose("int4")))
    two.quick("high", "policy", "set", "other.yaml", *home("alpha")).expect(0)
    error = refused(two.quick("high", "activate", "varied@1.0", *home("alpha"), *JSON))
    assert "--for alpha --variant base=device:cpu,precision:int4" in error["hint"]
    made = bundle(two, "varied@1.0", "--for", "alpha", "--variant", "base=device:cpu,precision:int4")
    assert (made["baseline"], made["files"]) == ("varied@1.0", 1)
    two.quick("low", "check", "next", "--depot", "depot").expect(0)
    done = two.quick("high", "import", *home("alpha"), "next", "--activate", *JSON).expect(0).data
    assert (done["files_built"], done["activated"]) == (1, True)
    assert source(two, "1.0", "int4") in active(two, "alpha").values()
    assert source(two, "1.0", "fp16") not in active(two, "alpha").values()
    receipt(two, "alpha")
    record = json.loads((two.folder / "depot/enclaves/alpha.json").read_bytes())
    assert record["acknowledged"][-1]["variants"] == ["base-fp16", "base-int4"]
    nodes = two.quick("provenance", "trace", "varied", *home("alpha"), *JSON).expect(0).data["nodes"]
    relations = {node["relation"] for node in nodes[0]["parents"] if node["kind"] == "component"}
    assert relations == {"contains"}  # by now an import brought each
    two.quick("provenance", "verify", *home("alpha")).expect(0)


def test_policy_that_makes_no_choice_lets_nothing_in(two: World) -> None:
    bundle(two, "varied@1.1", "--from", "none")
    for rules, word in (
        ("  - {labels: {precision: int8}}\n", "chooses none"),
        ("  - {labels: {format: gguf}}\n  - {component: other, labels: {precision: int4}}\n", "chooses none"),
    ):
        (two.folder / "other.yaml").write_text(policy("alpha", rules))
        two.quick("high", "policy", "set", "other.yaml", *home("alpha")).expect(0)
        error = refused(two.quick("high", "import", *home("alpha"), "next", *JSON))
        assert word in error["message"]
        assert "base-fp16 (device cuda, precision fp16)" in error["found"]
    assert source(two, "1.0", "fp16") in active(two, "alpha").values()  # what runs goes on running
    warnings = two.quick("high", "status", *home("alpha"), *JSON).expect(0).data["warnings"]
    assert any("base-fp16 runs" in warning for warning in warnings)


def test_the_low_side_refuses_a_choice_that_is_none(two: World) -> None:
    words = ("low", "bundle", "varied@1.1", "--output", "next", *BUNDLER, *JSON)
    for choice, word in (
        ("base=precision:int8", "none of the variants"),
        ("watch=precision:int4", "no variants of watch"),
        ("base", "not a choice"),
        ("base=int4", "not a choice"),
        ("base=precision:int4,precision:fp16", "not a choice"),
    ):
        assert word in two.quick(*words, "--variant", choice).expect(2).error["message"]
    assert not (two.folder / "next").exists()


def test_answers_check_alone(two: World) -> None:
    for question in (("trace", "base"), ("during", "base"), ("during", "base-fp16"), ("show", "varied")):
        said = two.quick("provenance", *question, *home("alpha"), "--prove", *JSON).expect(0)
        (two.folder / "answer.json").write_text(said.out)
        assert verified(two.folder / "answer.json", two.folder / "keys/ledger-alpha.pub") == 0
        for one, other in (('"leaves-out"', '"contains-not"'), ("base-fp16", "base-int4")):
            if one in said.out:
                (two.folder / "answer.json").write_text(said.out.replace(one, other))
                assert verified(two.folder / "answer.json", two.folder / "keys/ledger-alpha.pub") == 3
    periods = two.quick("provenance", "during", "base", *home("alpha"), *JSON).expect(0).data["periods"]
    assert [c["name"] for c in periods[0]["components"]] == ["base-fp16", "watch"]
    labelled = two.quick("provenance", "during", "base@1.0", *home("alpha"), *JSON).expect(0).data["periods"]
    assert labelled == periods
    for other in ("base-int4", "base@1.1"):
        two.quick("provenance", "during", other, *home("alpha"), *JSON).expect(5)


def verified(answer: Path, key: Path) -> int:
    return verify.main([str(answer), "--public-key", str(key)])


def test_garbage_and_repair_know_what_was_left_out(two: World) -> None:
    bundle(two, "varied@1.1", "--from", "none")
    two.quick("high", "import", *home("alpha"), "next", "--activate").expect(0)
    digest = hashlib.sha512(source(two, "1.1", "int4")).hexdigest()
    kept = two.folder / "enclaves/alpha/content" / digest[:2] / digest
    kept.chmod(0o644)
    kept.write_bytes(b"rotten" + kept.read_bytes()[6:])
    said = two.quick("high", "check", *home("alpha"), *JSON).expect(3)  # held, if laid out nowhere
    assert said.data["damaged"] == [digest]
    two.quick("high", "check", *home("alpha"), "--repair-from", "next").expect(0)
    assert kept.read_bytes() == source(two, "1.1", "int4")
    two.quick("high", "check", *home("alpha")).expect(0)
    (two.folder / "other.yaml").write_text(policy("alpha", choose("int4")))
    two.quick("high", "policy", "set", "other.yaml", *home("alpha")).expect(0)
    two.quick("high", "activate", "varied@1.1", *home("alpha")).expect(0)
    trees = two.folder / "enclaves/alpha/releases"
    assert len(list(trees.iterdir())) == 3  # 1.0 in one choice, 1.1 in two
    two.quick("high", "gc", "--keep", "1", *home("alpha")).expect(0)
    two.quick("high", "check", *home("alpha")).expect(0)
    assert "varied@1.1" in two.quick("high", "status", *home("alpha"), *JSON).expect(0).data["installed"]


def test_a_recut_codes_the_same_again(two: World) -> None:
    receipt(two, "alpha")
    made = bundle(two, "varied@1.1", "--for", "alpha")
    shutil.rmtree(two.folder / "next")
    said = two.quick("low", "recut", str(made["bundle"]), "--output", "again", *JSON).expect(0).data
    assert said["coded"] > 0
    two.quick("high", "import", *home("alpha"), "again", "--activate").expect(0)
    assert source(two, "1.1", "fp16") in active(two, "alpha").values()


def test_exports_tell_what_was_left_out(two: World) -> None:
    for form, word in (("cyclonedx", "airlift:left-out"), ("spdx", "left out"), ("oscal", "left out")):
        words = ("provenance", "export", "--as", form, "--output", f"{form}.json", *home("alpha"))
        two.quick(*words).expect(0)
        text = (two.folder / f"{form}.json").read_text()
        assert word in text
        assert "base-int4" in text
    two.quick("provenance", "report", "--output", "report.html", *home("alpha")).expect(0)
    assert "left out, variant of base: device cpu, precision int4" in (two.folder / "report.html").read_text()
    listed = json.loads((two.folder / "cyclonedx.json").read_text())["components"]
    assert [item["name"] for item in listed] == ["base-fp16", "watch"]


def test_what_is_trained_inside_joins_the_choice(two: World) -> None:
    (two.folder / "trained").mkdir()
    (two.folder / "trained/adapter.safetensors").write_bytes(safetensors(weights(7)))
    (two.folder / "register.yaml").write_text(
        "airlift: 1\ncomponents:\n  - name: triage\n    kind: adapter\n    version: '1'\n    license: none\n"
        "    source: {path: trained}\n    parents: [{component: base-fp16, relation: adapter-of}]\n"
    )
    rules = policy("alpha", choose("fp16")) + "register: [adapter]\nfloors: {base: '1.0'}\n"
    (two.folder / "other.yaml").write_text(rules)
    two.quick("high", "policy", "set", "other.yaml", *home("alpha")).expect(0)
    said = two.quick("high", "register", "register.yaml", *home("alpha"), *JSON).expect(0).data
    assert said["requires"] == [{"component": "triage", "needs": "watch", "version": ">=1"}]
    two.quick("high", "activate", said["release"], *home("alpha")).expect(0)
    assert sorted({path.split("/")[0] for path in active(two, "alpha")}) == ["base", "triage", "watch"]
    two.quick("high", "check", *home("alpha")).expect(0)
    two.quick("provenance", "verify", *home("alpha")).expect(0)
    for asked in ("base", "base@1.0", "base-fp16"):
        periods = two.quick("provenance", "during", asked, *home("alpha"), *JSON).expect(0).data["periods"]
        assert periods[-1]["digest"] == said["digest"], asked
    receipt(two, "alpha")  # it tells of no registered release
    assert said["digest"] not in (two.folder / "alpha.json").read_text()
    two.quick("high", "floor", "base", "1.05", "--reason", "a hole", *home("alpha")).expect(0)
    two.quick("high", "rollback", *home("alpha")).expect(6)


def test_the_page_says_what_works(two: World) -> None:
    """The manifest, the policy and the commands of docs/variants.md, as they stand there."""
    manifest, rules = pages.blocks("docs/variants.md", "yaml")
    for label in ("fp16", "int4"):
        shutil.copytree(two.folder / "variants-1.1" / label, two.folder / f"base-{label}")
    guard = "  - {name: guard, kind: guard, version: '2.0', source: {path: variants-1.1/guard}}\n"
    head = "airlift: 1\nrelease: assistant\nversion: '1.1'\nmarking: {level: UNCLASSIFIED}\n"
    (two.folder / "page.yaml").write_text(head + manifest.replace("requires:", f"{guard}requires:"))
    two.quick("low", "release", "page.yaml", *SIGN, "--replace").expect(0)
    shutil.copy(two.folder / "keys/ledger-bravo.pub", two.folder / "bravo.pub")
    shutil.copy(two.folder / "keys/bundler.key", two.folder / "build.key")
    (two.folder / "policy.yaml").write_text(rules)
    two.quick("high", "policy", "set", "policy.yaml", *home("bravo")).expect(0)
    before, after = (block.splitlines() for block in pages.blocks("docs/variants.md"))
    for line in (*before, "airlift high import out --activate"):
        as_typed(two, line, "bravo")
    assert source(two, "1.1", "int4") in active(two, "bravo").values()
    receipt(two, "bravo")
    (two.folder / "policy.yaml").write_text(rules.replace("int4", "fp16"))
    for line in after:
        as_typed(two, line, "bravo")
    assert source(two, "1.1", "fp16") in active(two, "bravo").values()


def as_typed(world: World, line: str, name: str) -> None:
    """Run a line of a page, which may say after a # which exit code it has; on the high side in an enclave."""
    command, _, remark = line.partition("#")
    said = re.match(r"\s*exit (\d+)", remark)
    program, *words = shlex.split(command)
    assert program == "airlift"
    where = home(name) if words[0] == "high" else ()
    world.quick(*words, *where).expect(int(said[1]) if said else 0)


class Killed(BaseException):
    """Stands for the end of a process."""


@pytest.mark.parametrize("moved", [False, True])
def test_an_interrupted_change_of_choice_is_undone_or_finished(
    two: World, moved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle(two, "varied@1.1", "--from", "none")
    two.quick("high", "import", *home("alpha"), "next", "--activate").expect(0)
    (two.folder / "other.yaml").write_text(policy("alpha", choose("int4")))
    two.quick("high", "policy", "set", "other.yaml", *home("alpha")).expect(0)
    point = files.point_link

    def kill(link: Path, target: str) -> None:
        if moved:
            point(link, target)
        raise Killed

    monkeypatch.setattr(files, "point_link", kill)
    signer = load_signer(str(two.folder / "keys/ledger-alpha.key"))
    with pytest.raises(Killed):
        activate(
            open_enclave(two.folder / "enclaves/alpha"),
            "varied@1.1",
            operator=Operator("ada", signer, datetime.now(UTC).replace(microsecond=0)),
        )
    monkeypatch.undo()
    warnings = two.quick("high", "status", *home("alpha"), *JSON).expect(0).data["warnings"]
    assert any("interrupted work" in warning for warning in warnings), warnings
    said = two.quick("high", "import", *home("alpha"), "next").expect(0)
    assert "recovered from an interrupted command" in said.err
    ran = source(two, "1.1", "int4" if moved else "fp16")
    assert ran in active(two, "alpha").values()
    assert len(list((two.folder / "enclaves/alpha/releases").iterdir())) == (3 if moved else 2)
    status = two.quick("high", "status", *home("alpha"), *JSON).expect(0).data
    assert status["variants"] == ["base-int4" if moved else "base-fp16"]
    two.quick("high", "check", *home("alpha")).expect(0)
    two.quick("high", "activate", "varied@1.1", *home("alpha")).expect(0)
    assert source(two, "1.1", "int4") in active(two, "alpha").values()
    two.quick("high", "rollback", "--to", "varied@1.1", *home("alpha")).expect(0)
    two.quick("provenance", "verify", *home("alpha")).expect(0)


def follow(world: World, layout: str, *words: str) -> Path:
    """Let a layout follow what is active in alpha; return where it stands."""
    output = world.folder / "out" / layout
    options = ("--layout", layout, "--output", str(output), "--follow")
    world.quick("high", "export", "active", *options, *words, *home("alpha")).expect(0)
    return output


def served(output: Path) -> list[bytes]:
    """Return what readers of a layout find, each file once."""
    return sorted({path.read_bytes() for path in output.rglob("*") if path.is_file()})


@pytest.fixture
def undecided(two: World) -> World:
    """Alpha runs 1.1 in fp16 and holds it in int4, too; its policy chooses int4."""
    bundle(two, "varied@1.1", "--from", "none")
    two.quick("high", "import", *home("alpha"), "next", "--activate").expect(0)
    (two.folder / "other.yaml").write_text(policy("alpha", choose("int4")))
    two.quick("high", "policy", "set", "other.yaml", *home("alpha")).expect(0)
    return two


def change(world: World, label: str, code: int = 0) -> Transcript:
    """Let alpha's policy choose otherwise, and activate 1.1 in that choice."""
    (world.folder / "other.yaml").write_text(policy("alpha", choose(label)))
    world.quick("high", "policy", "set", "other.yaml", *home("alpha")).expect(0)
    return world.quick("high", "activate", "varied@1.1", *home("alpha"), *JSON).expect(code)


def serves(world: World, output: Path, label: str) -> bool:
    """Say whether the base in one variant is found in a layout, and nothing of the other one."""
    found, other = served(output), {"fp16": "int4", "int4": "fp16"}[label]
    there = [any(source(world, "1.1", name) in data for data in found) for name in (label, other)]
    return there == [True, False]


def test_what_follows_goes_along_with_a_change_of_choice(undecided: World) -> None:
    """SPEC 8.7-11: what is served is what `active` shows, and nothing of the other variant."""
    world, forms = undecided, ("tree", "hf-cache", "hf-mirror", "oci", "oci-image")
    outputs = [follow(world, form, "--component", "base", "--as", "base=org/name") for form in forms]
    assert all(serves(world, output, "fp16") for output in outputs)
    for label in ("int4", "fp16"):
        change(world, label)
        assert served(outputs[0]) == [source(world, "1.1", label)]
        assert all(serves(world, output, label) for output in outputs)
        status = world.quick("high", "status", *home("alpha"), *JSON).expect(0).data
        assert [export["in_step"] for export in status["exports"]] == [True] * len(forms)
        assert not any("leftover" in warning for warning in status["warnings"])
        world.quick("high", "check", *home("alpha")).expect(0)
    assert all(len(list(output.resolve().parent.iterdir())) == 2 for output in outputs)  # one for each choice
    world.quick("high", "rollback", "--yes", *home("alpha")).expect(0)
    assert served(outputs[0]) == [source(world, "1.0", "fp16")]
    world.quick("provenance", "verify", *home("alpha")).expect(0)


def test_what_cannot_go_along_refuses_a_change_of_choice(undecided: World) -> None:
    """Ollama takes GGUF alone: the variant in safetensors cannot be served by it."""
    world = undecided
    change(world, "int4")
    output = follow(world, "ollama", "--component", "base")
    assert change(world, "fp16", code=2).error["code"] == "layout-unfit"
    assert source(world, "1.1", "int4") in active(world, "alpha").values()
    assert serves(world, output, "int4")
    world.quick("high", "check", *home("alpha")).expect(0)


def test_an_export_of_what_does_not_run_is_in_the_choice_of_policy(undecided: World) -> None:
    words = ("--layout", "tree", *home("alpha"))
    world = undecided
    world.quick("high", "export", "varied@1.1", *words, "--output", "once").expect(0)
    assert source(world, "1.1", "int4") in served(world.folder / "once")
    assert source(world, "1.1", "fp16") not in served(world.folder / "once")
    assert (world.folder / "once/base/model.gguf").is_file()
    told = world.quick("provenance", "history", *home("alpha"), *JSON).expect(0).data["entries"]
    assert [e["detail"]["variants"] for e in told if e["type"] == "export"] == [["base-int4"]]
    error = refused(world.quick("high", "export", "varied@1.0", *words, "--output", "not", *JSON))
    assert "base-int4" in error["message"]
    assert not (world.folder / "not").exists()
    test = "acceptance:\n  - {name: no-gguf, command: ['false']}\n"
    (world.folder / "other.yaml").write_text(policy("alpha", choose("int4")) + test)
    world.quick("high", "policy", "set", "other.yaml", *home("alpha")).expect(0)
    said = world.quick("high", "export", "varied@1.1", *words, "--output", "not", *JSON).expect(6)
    assert said.error["code"] == "not-accepted"  # it runs, but in fp16
    for name, code in (("base", 0), ("base-int4", 2), ("base-fp16", 2)):
        one = ("--component", name, "--output", f"one-{name}")
        world.quick("high", "export", "active", *words, *one).expect(code)


@pytest.mark.parametrize("moved", [False, True])
def test_what_follows_is_where_an_interrupted_change_of_choice_ends(
    undecided: World, moved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = undecided
    output = follow(world, "tree")
    point = files.point_link

    def kill(link: Path, target: str, **options: Any) -> None:
        if moved and link.name == "active":
            point(link, target, **options)
            return
        raise Killed

    monkeypatch.setattr(files, "point_link", kill)
    signer = load_signer(str(world.folder / "keys/ledger-alpha.key"))
    with pytest.raises(Killed):
        activate(
            open_enclave(world.folder / "enclaves/alpha"),
            "varied@1.1",
            operator=Operator("ada", signer, datetime.now(UTC).replace(microsecond=0)),
        )
    monkeypatch.undo()
    world.quick("high", "import", *home("alpha"), "next").expect(0)
    label = "int4" if moved else "fp16"
    assert source(world, "1.1", label) in active(world, "alpha").values()
    assert serves(world, output, label)
    status = world.quick("high", "status", *home("alpha"), *JSON).expect(0).data
    assert status["exports"][0]["in_step"]
    assert not any("interrupted" in warning for warning in status["warnings"])
    world.quick("high", "check", *home("alpha")).expect(0)


def test_what_a_bundle_says_that_it_carries_has_to_be_there(
    two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundler that claims a variant and brings none of its files: they are missing, and were not left out."""
    receipt(two, "alpha")
    with monkeypatch.context() as patch:
        patch.setattr(make_bundle, "plan_coding", lambda *_: CodingPlan((), (), (), ()))
        made = bundle(two, "varied@1.1", "--for", "alpha")
    assert (made["variants"], made["files"]) == (["base-fp16"], 0)
    before = active(two, "alpha")
    for command in ("plan", "import"):
        said = two.quick("high", command, *home("alpha"), "next", *JSON).expect(5)
        assert said.error["code"] == "baseline-not-held"
    assert active(two, "alpha") == before
    assert two.quick("high", "status", *home("alpha"), *JSON).expect(0).data["installed"] == ["varied@1.0"]


def test_a_test_of_the_owners_is_asked_about_each_choice(two: World) -> None:
    """SPEC 7.14-7: that fp16 was accepted says nothing of int4."""
    bundle(two, "varied@1.1", "--from", "none")
    test = (
        "acceptance:\n  - {name: no-gguf, command: [sh, -c, 'test ! -e $AIRLIFT_RELEASE/base/model.gguf']}\n"
    )
    for label, code in (("fp16", 0), ("int4", 6), ("fp16", 0)):
        (two.folder / "other.yaml").write_text(policy("alpha", choose(label)) + test)
        two.quick("high", "policy", "set", "other.yaml", *home("alpha")).expect(0)
        two.quick("high", "import", *home("alpha"), "next").expect(0)
        two.quick("high", "activate", "varied@1.1", *home("alpha")).expect(code)
        assert source(two, "1.1", "fp16") in active(two, "alpha").values()
    assert (
        len(list((two.folder / "enclaves/alpha/releases").iterdir())) == 2
    )  # what was not accepted is not laid out


def test_what_is_held_is_taken_over_and_what_was_left_out_is_not(two: World) -> None:
    """SPEC L2.20: what is taken over is no variant any more."""
    for name, code in (("base-fp16", 0), ("base-int4", 5)):
        (two.folder / "taken.yaml").write_text(
            "airlift: 1\nrelease: taken\nversion: '1'\nmarking: {level: UNCLASSIFIED}\ncomponents:\n"
            f"  - source: {{enclave: enclaves/alpha, component: {name}}}\n"
        )
        said = two.quick("low", "release", "taken.yaml", "--replace", *SIGN, *JSON).expect(code)
        if code:
            assert "the variant base-int4 of base is not held" in said.error["message"]
    (kept,) = (
        r
        for r in json.loads((two.folder / "depot/releases.json").read_bytes())["releases"]
        if r["name"] == "taken"
    )
    stated = json.loads((two.folder / f"depot/documents/{kept['digest'][:64]}.json").read_bytes())
    assert [(c["name"], "variant" in c) for c in stated["components"]] == [("base-fp16", False)]


# -- one bundle for both -------------------------------------------------------------------------------------------

FOR_BOTH = ("--for", "alpha", "--for", "bravo")


def test_one_bundle_brings_each_its_own_variant_as_a_delta(two: World) -> None:
    """SPEC 6.2-8 to 6.2-10, L4.23 to L4.25."""
    for name in CHOICE:
        receipt(two, name)
    planned = bundle(two, "varied@1.1", *FOR_BOTH, "--dry-run")
    assert [item["chunk_bytes"] for item in planned["portions"]] == [None, None]
    assert not (two.folder / "next").exists()
    made = bundle(two, "varied@1.1", *FOR_BOTH, "--explain")
    assert (made["enclave"], made["baseline_known_by"], made["left_out"]) == (None, None, [])
    assert [(item["enclave"], item["baseline"], item["baseline_known_by"]) for item in made["portions"]] == [
        (name, "varied@1.0", "receipt") for name in CHOICE
    ]
    assert sum(item["own_bytes"] for item in made["portions"]) == made["chunk_bytes"]
    two.quick("low", "check", "next", "--depot", "depot").expect(0)
    for name, label in CHOICE.items():
        plan = two.quick("high", "plan", *home(name), "next", *JSON).expect(0).data
        assert (plan["enclaves"], plan["baseline"], plan["objections"]) == (list(CHOICE), "varied@1.0", [])
        two.quick("high", "import", *home(name), "next", "--activate").expect(0)
        files = active(two, name).values()
        assert source(two, "1.1", label) in files
        two.quick("high", "check", *home(name)).expect(0)
        two.quick("provenance", "verify", *home(name)).expect(0)


def test_what_is_shown_of_a_bundle_for_two(two: World) -> None:
    for name in CHOICE:
        receipt(two, name)
    shown = two.quick("low", "bundle", "varied@1.1", *FOR_BOTH, "--output", "next", *BUNDLER).expect(0)
    for name in CHOICE:
        assert f"baseline for {name}: varied@1.0 (a signed receipt says that it is held)" in shown.err
    for words in (("high", "inspect", "next"), ("low", "check", "next")):
        told = two.quick(*words).expect(0).out
        assert re.search(r"enclave +alpha, bravo", told), told
        assert "enclaves" not in told
    assert re.search(r"several-\d+ .*alpha, bravo", two.quick("low", "list").expect(0).out)
    label = next((two.folder / "next").glob("airlift-several-*/LABEL.txt")).read_text()
    assert "  for enclave   bravo, from varied@1.0\n" in label


def test_what_came_for_several_is_proven_like_what_came_for_one(
    two: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in CHOICE:
        receipt(two, name)
    made = bundle(two, "varied@1.1", *FOR_BOTH)
    two.quick("high", "import", *home("bravo"), "next", "--activate").expect(0)
    shown = two.quick("provenance", "trace", made["bundle"], *home("bravo"), "--prove", *JSON).expect(0)
    (node,) = shown.data["nodes"]
    parents = {(parent["relation"], parent["name"], parent["version"]) for parent in node["parents"]}
    assert ("delta-from", "varied", "1.0") in parents
    answer, key = two.folder / "answer.json", two.folder / "keys/ledger-bravo.pub"
    answer.write_text(shown.out)
    assert verify.main([str(answer), "--public-key", str(key)]) == 0
    answer.write_text(shown.out.replace('"delta-from"', '"made-from"'))
    assert verify.main([str(answer), "--public-key", str(key)]) != 0
    capsys.readouterr()


@pytest.mark.parametrize(
    "words",
    [
        (*FOR_BOTH, "--from", "varied@1.0"),
        (*FOR_BOTH, "--from", "charlie=varied@1.0"),
        (*FOR_BOTH, "--from", "alpha=varied@1.0", "--from", "alpha=none"),
        (*FOR_BOTH, "--from", "alpha="),
        ("--from", "varied@1.0", "--from", "none"),
        ("--for", "alpha", "--for", "alpha"),
    ],
)
def test_baselines_that_are_nobodys(two: World, words: tuple[str, ...]) -> None:
    said = two.quick("low", "bundle", "varied@1.1", "--output", "next", *BUNDLER, *words, *JSON).expect(2)
    error = json.loads(said.out)["error"]
    assert error["code"] == "usage"
    assert "--for" in error["hint"]
    assert not (two.folder / "next").exists()


def test_a_baseline_may_be_said_of_each(two: World) -> None:
    words = ("--from", "alpha=varied@1.0", "--from", "bravo=none")
    made = bundle(two, "varied@1.1", *FOR_BOTH, *words)
    assert [(one["baseline"], one["baseline_known_by"]) for one in made["portions"]] == [
        ("varied@1.0", "assumption"),
        (None, "none"),
    ]
    one = bundle(two, "varied@1.1", "--for", "alpha", "--from", "alpha=varied@1.0", output="one")
    assert (one["enclave"], one["baseline"]) == ("alpha", "varied@1.0")
