"""What is said to fit a schema fits it for the library too: whatever is changed in a document that does."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airlift import authored, schema

MANIFESTS = Path(authored.__file__).parents[1] / "manifests"
POLICY = yaml.safe_load((MANIFESTS / "policy-alpha.yaml").read_text())
EVERYTHING = POLICY | {
    "airlift": 2,
    "inventory": "strict",
    "attestations": {"scan": {"threshold": 1, "keys": ["a.pub", "b.pub"], "expires_after_days": 90}},
    "bar": [["build", "scan"]],
    "requires": [{"kind": "model", "needs": "guard", "version": ">=2.0"}],
    "floors": {"guard": "2.1"},
    "staleness": {"warn_after_days": 90, "refuse_new_after_days": 180},
    "digest": "sha512",
    "keep": 2,
    "waivers": [{"what": "remote-code", "component": "base"}, {"what": "drift"}],
    "acceptance": [
        {"name": "gate", "gate": "content"},
        {"name": "canary", "command": ["x"], "memory": "1GiB"},
    ],
}
CASES = [
    ("policy.schema.json", EVERYTHING),
    (
        "depot-policy.schema.json",
        {
            "airlift": 1,
            "scanners": [{"name": "av", "command": ["clamscan", "{release}"], "timeout": 60, "processes": 8}],
            **{key: EVERYTHING[key] for key in ("attestations", "bar")},
        },
    ),
    ("enclave.schema.json", {"airlift": 1, "enclave": "alpha", "ledger_key": "pkcs11:token=x"}),
    ("controls.schema.json", yaml.safe_load((MANIFESTS / "controls.yaml").read_text())),
    ("release.schema.json", yaml.safe_load((MANIFESTS / "assistant-2026.11.1.yaml").read_text())),
    ("release.schema.json", yaml.safe_load((MANIFESTS / "checkpoint-1.yaml").read_text())),
]
TEXTS = st.sampled_from(["", "a", "a\n", "A b", "sha256", "x" * 5000, "é"])
ODD: st.SearchStrategy[Any] = st.one_of(st.none(), st.booleans(), st.integers(-2, 2000), TEXTS)
VALUES = st.recursive(
    ODD, lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXTS, v, max_size=3), max_leaves=4
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a document."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in below for found in places(item, (*path, key)))]


def changed(document: Any, path: tuple[Any, ...], act: str, new: Any) -> Any:
    """Return the document with one value replaced, removed, repeated, or with a key added there."""
    if not path:
        return new
    result = copy.deepcopy(document)
    parent = result
    for key in path[:-1]:
        parent = parent[key]
    if act == "remove":
        del parent[path[-1]]
    elif act == "repeat" and isinstance(parent, list):
        parent.append(parent[path[-1]])
    elif act == "add" and isinstance(parent, dict):
        parent["extra"] = new
    else:
        parent[path[-1]] = new
    return result


@pytest.mark.parametrize(("name", "document"), CASES, ids=[name for name, _ in CASES])
@given(data=st.data())
def test_what_fits_is_valid(name: str, document: Any, data: st.DataObject) -> None:
    rules = authored.load_schema(name)
    path = data.draw(st.sampled_from(places(document)))
    act = data.draw(st.sampled_from(["replace", "remove", "repeat", "add"]))
    other = changed(document, path, act, data.draw(VALUES))
    if schema.fits(other, rules):
        assert list(authored._errors(other, rules)) == []


@pytest.mark.parametrize(("name", "document"), CASES[:3], ids=[name for name, _ in CASES[:3]])
def test_what_an_enclave_reads_needs_no_library(name: str, document: Any) -> None:
    rules = authored.load_schema(name)
    assert list(authored._errors(document, rules)) == []
    assert schema.fits(document, rules)


def test_an_unknown_keyword_fits_nothing() -> None:
    assert not schema.fits(1, {"multipleOf": 1})
    assert not schema.fits(1, {"type": "number"})
    assert not schema.fits({"a": 1}, {"additionalProperties": True})
    assert not schema.fits(True, {"const": 1})
    assert not schema.fits(True, {"type": "integer"})
