"""Functions and folders stay small enough to be taken in at one look; how long a module is, its meaning says."""

import ast
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

from tests.arch.tree import Function, Module, functions, modules, parse, violations

FOLDER_MODULES = 15
FUNCTION_LINES = 60
FUNCTION_GUIDELINE = 40


class LongFunctionWarning(UserWarning):
    """A function is over the guideline, though not over the limit."""


def length(function: Function) -> int:
    """Return the lines of a function without its decorators and docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def long_functions(module: Module, limit: int = FUNCTION_LINES) -> Iterator[str]:
    for function in functions(module.tree):
        if length(function) > limit:
            yield f"{module.where(function)}: {function.name} has {length(function)} lines, limit {limit}"


def crowded_folders(names: Iterable[str]) -> Iterator[str]:
    """Find folders with more modules than a reader takes in; ``names`` are dotted names of modules and folders."""
    known = set(names)
    folders = {name.rpartition(".")[0] for name in known}
    for folder, count in sorted(Counter(name.rpartition(".")[0] for name in known - folders).items()):
        if count > FOLDER_MODULES:
            yield f"{folder} has {count} modules, limit {FOLDER_MODULES}: it has a room within it"


def test_no_folder_is_crowded() -> None:
    assert list(crowded_folders(module.name for module in modules())) == []


def test_functions_are_short() -> None:
    assert violations(long_functions) == []


@pytest.mark.filterwarnings("default::UserWarning")
def test_functions_over_the_guideline_are_named() -> None:
    for module in modules():
        for finding in long_functions(module, FUNCTION_GUIDELINE):
            warnings.warn(finding, LongFunctionWarning, stacklevel=1)


def test_the_rules_themselves() -> None:
    body = "    x = 1\n" * 59
    assert list(long_functions(parse("def f():\n" + body))) == []
    assert list(long_functions(parse('def f():\n    """F.\n\n    More.\n    """\n' + body))) == []
    assert len(list(long_functions(parse("def f():\n    x = 1\n" + body)))) == 1
    few = ["a", *(f"a.m{number}" for number in range(15)), "a.b", *(f"a.b.m{number}" for number in range(15))]
    assert list(crowded_folders(few)) == []
    assert list(crowded_folders([*few, "a.b.more"])) == [
        "a.b has 16 modules, limit 15: it has a room within it"
    ]
