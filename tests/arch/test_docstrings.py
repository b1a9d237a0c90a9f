"""Every folder says what it is for; every public function and class says what it does."""

import ast
from collections.abc import Iterator

import pytest

from tests.arch.tree import FOLDER, Function, Module, parse, violations


def undocumented(module: Module) -> Iterator[str]:
    if not ast.get_docstring(module.tree):
        yield f"{module.name}: no module docstring"
    yield from _undocumented(module, module.tree.body, "")


def _undocumented(module: Module, body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if not isinstance(node, ast.ClassDef | Function) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node) and not _is_overload(node):
            yield f"{module.where(node)}: {prefix}{node.name} has no docstring"
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(module, node.body, f"{node.name}.")


def _is_overload(node: ast.ClassDef | Function) -> bool:
    return any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list)


def test_folders_have_a_docstring() -> None:
    folders = {path.parent for path in FOLDER.rglob("*.py")}
    bare = [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()]
    assert not bare, "folders without __init__.py"
    # that each __init__.py says something is the next test


def test_everything_public_is_documented() -> None:
    assert violations(undocumented) == []


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('"""M."""\ndef f():\n    """F."""\n', 0),
        ('"""M."""\ndef _f():\n    pass\n', 0),
        ("x = 1\n", 1),
        ('"""M."""\ndef f():\n    pass\n', 1),
        ('"""M."""\nclass C:\n    """C."""\n    def f(self):\n        pass\n', 1),
    ],
)
def test_the_rule_itself(source: str, count: int) -> None:
    assert len(list(undocumented(parse(source)))) == count
