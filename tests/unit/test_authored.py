"""Authored YAML: strictly loaded, checked against its schema, errors with file, line and key."""

import json
from pathlib import Path

import jsonschema
import pytest

from airlift import authored
from airlift.bundle.component.component import KINDS
from airlift.bundle.release import MAX_COMPONENTS, MAX_REQUIREMENTS
from airlift.errors import ManifestError
from airlift.policy.demands import ROLES, parse_demands
from airlift.policy.document import parse_policy
from airlift.trust.statements.predicates import ATTESTED

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
RELEASE, POLICY, DEPOT_POLICY = "release.schema.json", "policy.schema.json", "depot-policy.schema.json"
HEAD = "airlift: 1\nenclave: alpha\n"
MANIFEST = """\
airlift: 1
release: assistant
version: "1"
marking: {level: UNCLASSIFIED}
components:
  - name: base
    kind: model
    version: "1.0"
    source: {path: base}
"""


def refused(text: str | bytes, schema: str = POLICY) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(ManifestError) as caught:
        authored.load("file.yaml", data, schema)
    assert caught.value.message.startswith("file.yaml")
    assert len(caught.value.message) < 600
    return caught.value.message


@pytest.mark.parametrize("path", sorted(MANIFESTS.glob("assistant-*.yaml")), ids=lambda path: path.stem)
def test_the_sample_manifests_are_valid(path: Path) -> None:
    document = authored.load(str(path), path.read_bytes(), RELEASE)
    assert document["release"] == "assistant"
    assert f"{document['release']}-{document['version']}" == path.stem
    for component in document["components"]:
        assert (path.parent / component["source"]["path"]).exists()


def test_the_sample_policy_is_valid() -> None:
    path = MANIFESTS / "policy-alpha.yaml"
    assert parse_policy(authored.load(str(path), path.read_bytes(), POLICY)).ceiling.level == "CUI"


def test_the_sample_of_a_depots_policy_is_valid() -> None:
    path = MANIFESTS / "depot-policy.yaml"
    demands = parse_demands(authored.load(str(path), path.read_bytes(), DEPOT_POLICY))
    assert demands.bars == (("approval", "build"), ("approval", "scan"))


def test_both_policies_ask_for_attestations_alike() -> None:
    high, low = authored.load_schema(POLICY), authored.load_schema(DEPOT_POLICY)
    for key in ("attestations", "bar"):
        assert low["properties"][key] == high["properties"][key]
    for name in ("quorum", "bar"):
        assert low["$defs"][name] == high["$defs"][name]
    assert tuple(high["properties"]["attestations"]["properties"]) == ATTESTED
    assert tuple(high["$defs"]["bar"]["items"]["items"]["enum"]) == (*ROLES, *ATTESTED)


def test_the_samples_with_waivers_go_together() -> None:
    path = MANIFESTS / "checkpoint-1.yaml"
    document = authored.load(str(path), path.read_bytes(), RELEASE)
    path = MANIFESTS / "policy-bravo.yaml"
    policy = parse_policy(authored.load(str(path), path.read_bytes(), POLICY))
    waived = [
        (waiver["what"], item["name"]) for item in document["components"] for waiver in item.get("accept", ())
    ]
    assert waived == [("remote-code", "coder"), ("code", "coder")]
    assert all(policy.permits(*pair) for pair in waived)


@pytest.mark.parametrize("path", sorted(MANIFESTS.glob("*.schema.json")), ids=lambda path: path.stem)
def test_the_schemas_are_schemas_and_are_installed(path: Path) -> None:
    schema = authored.load_schema(path.name)
    assert schema == json.loads(path.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)


def test_the_schemas_agree_with_the_format() -> None:
    release, policy = authored.load_schema(RELEASE), authored.load_schema(POLICY)
    component = release["properties"]["components"]["items"]["properties"]
    assert component["kind"]["enum"] == list(KINDS)
    assert policy["properties"]["requires"]["items"]["properties"]["kind"]["enum"] == list(KINDS)
    assert release["properties"]["components"]["maxItems"] == MAX_COMPONENTS
    assert release["properties"]["requires"]["maxItems"] == MAX_REQUIREMENTS


def test_what_is_taken_over_need_not_be_named_again() -> None:
    taken = MANIFEST[: MANIFEST.index("  - name")] + "  - source: {enclave: ../alpha, component: base}\n"
    document = authored.load("file.yaml", taken.encode(), RELEASE)
    assert document["components"] == [{"source": {"enclave": "../alpha", "component": "base"}}]
    for missing in ("name: base", "kind: model", 'version: "1.0"'):
        key = missing.partition(":")[0]
        text = MANIFEST.replace(f"    {missing}\n", "").replace(f"  - {missing}\n    ", "  - ")
        assert f"components.0: missing key '{key}'" in refused(text, RELEASE)


# -- threats: YAML tags, aliases and anchors, merge keys -----------------------------------------------------------


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in zip("abcdefghij", "bcdefghijk", strict=True)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(LAUGHS, ":1: anchors and aliases", id="billion laughs"),
        (HEAD + "keep: &x 2\n", ":3: anchors and aliases"),
        (HEAD + "keep: *x\n", ":3: anchors and aliases"),
        (HEAD + "keep: !!int 2\n", ":3: tags"),
        (HEAD + "keep: ! 2\n", ":3: tags"),
        (HEAD + "keep: !!python/object/apply:os.system ['true']\n", ":3: tags"),
        (HEAD + "keep: !local {a: 1}\n", ":3: tags"),
        ("%TAG ! tag:x,2000:\n---\n!a {}\n", ":3: tags"),
        (HEAD + "<<: {keep: 2}\n", ":3: a key must be text"),
        (HEAD + "enclave: beta\n", ":3: key 'enclave' stands twice"),
        (HEAD + "marking:\n  levels: [A]\n  levels: [B]\n", ":5: key 'levels' stands twice"),
        (HEAD + "? [a, b]\n: 1\n", ":3: a key must be text"),
        (HEAD + "? {a: 1}\n: 1\n", ":3: a key must be text"),
        (HEAD + "1: 1\n", ":3: a key must be text"),
        (HEAD + "yes: 1\n", ":3: a key must be text"),
        (HEAD + "null: 1\n", ":3: a key must be text"),
        (HEAD + "keep: =\n", ":3: keep: not a plain value"),
        (HEAD + "keep: 2.0\n", ":3: keep: a number with a point must be quoted"),
        (HEAD + "keep: .nan\n", ":3: keep: a number with a point must be quoted"),
        (HEAD + "floors: {guard: 2.1}\n", ":3: floors.guard: a number with a point must be quoted"),
        (HEAD + "floors: {guard: 2026-11-01}\n", ":3: floors.guard: a date must be quoted"),
        (HEAD + "floors: {guard: 2026-13-99}\n", ":3: floors.guard: a date must be quoted"),
        (HEAD + "keep: 0b_\n", ":3: keep: not a valid value"),
        (HEAD + f"keep: {'9' * 5000}\n", ":3: keep: not a valid value"),
        (HEAD + f"keep: 0x{'f' * 5000}\n", ":3: keep: not a valid value"),
        (HEAD + f"keep: {':59' * 50}\n".replace(" :", " 1:"), ":3: keep: not a valid value"),
        (HEAD + "---\n" + HEAD, "not YAML"),
        (HEAD + "keep: [1\n", "not YAML"),
        (HEAD + "keep:\t1: 2\n", "not YAML"),
        (HEAD + "keep: \x07\n", "not YAML"),
        (HEAD + "keep: @\n", ":3: not YAML"),
        ("x: " + "[" * 20 + "]" * 20, ":1: nested too deeply"),
        ("- " * 20 + "x", ":1: nested too deeply"),
        ("[" * 100_000, ":1: nested too deeply"),
        ("", ": empty"),
        ("# only a comment\n", ": empty"),
        ("- a\n", ":1: document: must be of type object"),
        ("text", ":1: document: must be of type object"),
        (b"airlift: 1\xff\n", ": not UTF-8"),
        (HEAD.encode("utf-16"), ": not UTF-8"),
        (b"#" * (authored.MAX_BYTES + 1), ": too long"),
    ],
)
def test_what_yaml_can_do_and_people_do_not_need_is_refused(text: str | bytes, reason: str) -> None:
    """Tags, aliases and anchors (billion laughs), merge keys, duplicate keys, floats, deep nesting."""
    assert reason in refused(text)


def test_flow_and_block_style_mean_the_same() -> None:
    deep = "marking: {levels: [LOW, HIGH], ceiling: {level: HIGH}}\n"
    block = "marking:\n  levels:\n  - LOW\n  - HIGH\n  ceiling:\n    level: HIGH\n"
    found = [authored.load("f", (HEAD + text).encode(), POLICY) for text in (deep, block)]
    assert found[0] == found[1]


# -- messages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("release: assistant", "release: Assistant", ":2: release: 'Assistant' does not match"),
        ("release: assistant", 'release: "assistant\\n"', r":2: release: 'assistant\n' does not match"),
        ("release: assistant", "name: assistant", ":1: document: "),
        ("kind: model", "kind: virus", ":7: components.0.kind: 'virus' is not one of"),
        ("kind: model", "kind:", ":7: components.0.kind: None is not one of"),
        ("{path: base}", "{}", ":9: components.0.source: missing key 'path'"),
        ("{path: base}", "base", ":9: components.0.source: must be of type object, found str"),
        (
            "{path: base}",
            "{path: base, pth: x}",
            ":9: components.0.source: unknown key 'pth' (known: exclude, include, path)",
        ),
        ("{path: base}", "{path: 1}", ":9: components.0.source.path: must be of type string, found int"),
        ("{path: base}", "{hub: a/b}", ":9: components.0.source: missing key 'revision'"),
        ("{path: base}", "{enclave: a}", ":9: components.0.source: missing key 'component'"),
        (
            "{path: base}",
            "{enclave: a, component: b, include: ['*']}",
            ":9: components.0.source: unknown key 'include' (known: component, enclave, release)",
        ),
        (
            "{path: base}",
            "{hub: a/b, revision: main}",
            ":9: components.0.source.revision: 'main' does not match",
        ),
        ("airlift: 1", "airlift: true", ":1: airlift: 1 was expected"),
        ("airlift: 1", "airlift: 2", ":1: airlift: 1 was expected"),
        ("{level: UNCLASSIFIED}", "{level: A/B}", ":4: marking.level: 'A/B' does not match"),
        ("{level: UNCLASSIFIED}", "", ":4: marking: must be of type object, found null"),
    ],
)
def test_messages_name_file_line_and_key(before: str, after: str, reason: str) -> None:
    authored.load("file.yaml", MANIFEST.encode(), RELEASE)
    assert before in MANIFEST
    assert reason in refused(MANIFEST.replace(before, after), RELEASE)


def test_the_first_of_several_errors_is_told() -> None:
    text = MANIFEST.replace("kind: model", "kind: virus").replace("release: assistant", "release: A")
    assert ":2: release:" in refused(text, RELEASE)


def test_text_from_the_file_is_shown_escaped() -> None:
    assert "\x1b" not in refused(HEAD + '"\\e[2J": 1\n')
    assert "\u202e" not in refused(HEAD.replace("alpha", '"\\u202e"'))
