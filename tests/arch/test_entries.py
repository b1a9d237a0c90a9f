"""Only ledger/entries, and the standalone verifier, know the types of entries and the keys of what they say."""

import ast
import re
from collections.abc import Iterator

import pytest

from airlift.ledger.entries.kinds import TYPES
from tests.arch.tree import Module, Rule, argument, parse, violations

OWN = ("airlift.ledger.entries", "airlift.verify")
HYPHENED = re.compile(rf"(?:\A|')({'|'.join(name for name in TYPES if '-' in name)})(?:\Z|')")
"""A string that is the name of a type, or has it in quotes, as SQL does."""
WORDS = frozenset(name for name in TYPES if "-" not in name)
"""Types that are also words for other things: they are judged by where they stand."""
CALLS = {"last": 0, "Draft": 0, "record": 1, "entries": None, "history": None, "where": None}
"""Calls that take a type of entry: where (every one of :data:`TAKING` besides)."""
TAKING = ("type", "types", "kind")
OTHER_LOG = ("airlift.low", "airlift.cli.doctor.findings")
"""The depot's log and the findings of `doctor` have a ``detail`` of their own."""


def type_names(module: Module) -> Iterator[str]:
    """Find names of types: the hyphened ones anywhere, the others where a type is meant."""
    if module.inside(*OWN):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for name in HYPHENED.findall(node.value):
                yield f"{module.where(node)} spells the type {name}: take TYPE of its class"
        for value in _meant(node):
            if isinstance(value, ast.Constant) and value.value in WORDS:
                yield f"{module.where(value)} spells the type {value.value}: take TYPE of its class"


def detail_keys(module: Module) -> Iterator[str]:
    """Find ``x.detail[...]``, ``x.detail.get(...)`` and the like."""
    if module.inside(*OWN, *OTHER_LOG):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Subscript | ast.Attribute) and _is_detail(node.value):
            yield f"{module.where(node)} looks into a detail: airlift.ledger.details does that"


def _is_detail(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "detail"


def _meant(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the values that stand where a type of entry is meant."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        if any(isinstance(side, ast.Attribute) and side.attr == "type" for side in sides):
            yield from (value for side in sides for value in _values(side))
    elif isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in CALLS:
            position = CALLS[called]
            given = argument(node, position, "type") if position is not None else None
            yield from _values(given) if given is not None else ()
            for keyword in node.keywords:
                yield from _values(keyword.value) if keyword.arg in TAKING else ()


def _values(node: ast.expr) -> list[ast.expr]:
    """Return the items of a tuple, list or set, or the node itself."""
    return list(node.elts) if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]


RULES = (type_names, detail_keys)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.__name__))
def test_the_tree_follows(rule: Rule) -> None:
    assert violations(rule) == []


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (type_names, '"""An import-commit entry."""\nkinds = ("policy", "gc")\n'),
        (type_names, "folder / 'roots'\nsheet('.mark.import-reject path')\n"),
        (type_names, "entry.type == Gc.TYPE\nlog.entries(types=(Gc.TYPE,))\n"),
        (detail_keys, "read(entry, Gc).releases\nentry.detail\n"),
    ],
)
def test_good_examples(rule: Rule, source: str) -> None:
    assert list(rule(parse(source))) == []


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (type_names, "x = {'import-commit'}\n"),
        (type_names, "log.query(\"SELECT 1 FROM entries WHERE type = 'import-commit'\")\n"),
        (type_names, "entry.type in {'gc', other}\n"),
        (type_names, "log.entries(types=('attestation',))\n"),
        (type_names, "enclave.record(operator, 'gc', {})\n"),
        (type_names, "log.append(Draft('policy', 'x', now), signer)\n"),
        (detail_keys, "entry.detail['release']\n"),
        (detail_keys, "commit.detail.get('components')\n"),
        (detail_keys, "[e.detail.items() for e in entries]\n"),
    ],
)
def test_bad_examples(rule: Rule, source: str) -> None:
    assert len(list(rule(parse(source)))) == 1


def test_the_rooms_that_own_the_names_may_say_them() -> None:
    source = "kind = 'import-commit'\nentry.detail['x']\n"
    assert [list(rule(parse(source, OWN[0] + ".imports"))) for rule in RULES] == [[], []]
