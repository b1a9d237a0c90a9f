"""A hint names the next command or action, never only where help is (SPEC 14-12)."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.arch.tree import Module, parse, violations

HINTS = {"hint", "default_hint", "repair_hint"}
ONLY_HELP = re.compile(r"^(?:for )?(?:see|try|run|help: )?\s*`?airlift[ \w-]*--help`?\.?$")


def only_help(module: Module) -> Iterator[str]:
    """Yield where a hint says nothing but that there is help."""
    for node in ast.walk(module.tree):
        for text, place in _hints(node):
            if ONLY_HELP.match(text.strip()):
                yield f"{module.where(place)} a hint names only help: {text!r}"


def _hints(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.keyword) and node.arg in HINTS:
        yield from ((text, node.value) for text in _texts(node.value))
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(target, ast.Name) and target.id in HINTS for target in targets):
            yield from ((text, node.value) for text in _texts(node.value))


def _texts(value: ast.AST) -> Iterator[str]:
    """Yield the texts of an expression; what is filled into one is a word."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in value.values)
    else:
        for below in ast.iter_child_nodes(value):
            yield from _texts(below)


def test_no_hint_names_only_help() -> None:
    assert violations(only_help) == []


@pytest.mark.parametrize(
    "source",
    [
        "raise E('x', hint='see `airlift --help`')\n",
        "raise E('x', hint=f'see `{path} --help`')\n".replace("{path}", "airlift {path}"),
        "default_hint = 'see `airlift low sign --help`'\n",
        "hint = 'airlift --help' if a else 'else'\n",
        "class E:\n    default_hint: str = 'try `airlift keys --help`'\n",
    ],
)
def test_such_a_hint_is_found(source: str) -> None:
    assert len(list(only_help(parse(source)))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "raise E('x', hint='sign it: `airlift low sign`')\n",
        "raise E('x', hint='`airlift low sign`; or `airlift --help`')\n",
    ],
)
def test_other_hints_are_not(source: str) -> None:
    assert list(only_help(parse(source))) == []
