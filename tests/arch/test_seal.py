"""Only the verifier makes a VerifiedBundle, and nothing else can be applied (SPEC 7.2-6)."""

import ast
from collections.abc import Iterator

import pytest

from tests.arch.tree import Module, dotted, functions, modules, parse

SEAL, SEALED = "SEAL", "VerifiedBundle"


def names(module: Module) -> Iterator[str]:
    """Yield where a module names the seal: by an import, a name, an attribute or a string."""
    for node in ast.walk(module.tree):
        found = ""
        if isinstance(node, ast.ImportFrom):
            found = next((alias.name for alias in node.names if alias.name in {SEAL, "*"}), "")
            found = SEAL if found == SEAL or (found and "verified" in (node.module or "")) else ""
        elif isinstance(node, ast.Name):
            found = node.id
        elif isinstance(node, ast.Attribute):
            found = node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = node.value
        if found == SEAL and isinstance(node, ast.stmt | ast.expr):
            yield module.where(node)


def makes(module: Module) -> Iterator[str]:
    """Yield where a module makes one, or gets round its constructor."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func).rpartition(".")[2]
        if called == SEALED or (called == "__new__" and SEALED in map(dotted, node.args)):
            yield module.where(node)


def test_one_module_beside_the_definition_names_the_seal_and_it_verifies() -> None:
    """The docstring said that this was checked, and nothing did."""
    naming = {module.name: module for module in modules() if list(names(module))}
    defining = [name for name, module in naming.items() if _defines(module)]
    (verifier,) = set(naming) - set(defining)
    assert len(defining) == 1
    returning = [
        f.name for f in functions(naming[verifier].tree) if f.returns and dotted(f.returns) == SEALED
    ]
    assert "verify_bundle" in returning
    assert [module.name for module in modules() if list(makes(module))] == [verifier]


def _defines(module: Module) -> bool:
    return any(isinstance(node, ast.ClassDef) and node.name == SEALED for node in module.tree.body)


@pytest.mark.parametrize(
    "source",
    [
        "from airlift.high.verification.verified import SEAL\n",
        "from airlift.high.verification.verified import SEAL as key\n",
        "from airlift.high.verification.verified import *\n",
        "from airlift.high.verification import verified\nverified.SEAL\n",
        "from airlift.high.verification import verified\ngetattr(verified, 'SEAL')\n",
        "def f():\n    from airlift.high.verification.verified import SEAL\n",
    ],
)
def test_ways_to_name_it_are_found(source: str) -> None:
    assert list(names(parse(source)))


@pytest.mark.parametrize(
    "source",
    ["VerifiedBundle(seal=x)\n", "verified.VerifiedBundle(**fields)\n", "object.__new__(VerifiedBundle)\n"],
)
def test_ways_to_make_one_are_found(source: str) -> None:
    assert list(makes(parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "from airlift.high.verification.verified import VerifiedBundle\n",
        "def f(bundle: VerifiedBundle): pass\n",
    ],
)
def test_using_one_is_allowed(source: str) -> None:
    assert not [*names(parse(source)), *makes(parse(source))]
