"""Modules and functions stay small enough to be read at one sitting."""

import ast
import warnings
from collections.abc import Iterator

import pytest

from tests.arch.tree import Function, Module, functions, modules, parse, violations

MODULE_LINES = 400
ONE_FILE = {"airlift.verify": 870}  # an assessor copies and reads one file, whatever it verifies
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


def long_modules(module: Module) -> Iterator[str]:
    limit = ONE_FILE.get(module.name, MODULE_LINES)
    if module.lines > limit:
        yield f"{module.name} has {module.lines} lines, limit {limit}"


def test_modules_are_short() -> None:
    assert violations(long_modules) == []


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
    assert list(long_modules(parse("x = 1\n" * 400))) == []
    assert len(list(long_modules(parse("x = 1\n" * 401)))) == 1
