"""The source tree of airlift as parsed modules, for the rules in this folder to look at."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "airlift"

Function = ast.FunctionDef | ast.AsyncFunctionDef
Rule = Callable[["Module"], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Module:
    """One source file: its dotted name and its syntax tree."""

    name: str
    tree: ast.Module

    def inside(self, *rooms: str) -> bool:
        """Say whether the module is one of ``rooms`` or lies in one."""
        return any(self.name == room or self.name.startswith(f"{room}.") for room in rooms)

    def where(self, node: ast.stmt | ast.expr | ast.arg | ast.excepthandler | ast.alias) -> str:
        """Return ``module:line`` of a node."""
        return f"{self.name}:{node.lineno}"


def parse(source: str, name: str = "airlift.example") -> Module:
    """Return a module made of ``source``."""
    return Module(name, ast.parse(source))


@cache
def modules() -> tuple[Module, ...]:
    """Return every module below airlift/."""
    return tuple(_load(path) for path in sorted(FOLDER.rglob("*.py")))


def violations(rule: Rule) -> list[str]:
    """Return what ``rule`` finds in the whole tree."""
    return [finding for module in modules() for finding in rule(module)]


def functions(tree: ast.AST) -> Iterator[Function]:
    """Yield every function and method, nested ones included."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def dotted(node: ast.expr) -> str:
    """Return ``a.b.c`` of a name or attribute; a part that is neither is written ``?``."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def argument(call: ast.Call, position: int, keyword: str) -> ast.expr | None:
    """Return an argument of a call by its position or its keyword."""
    if position < len(call.args):
        return call.args[position]
    return next((item.value for item in call.keywords if item.arg == keyword), None)


def _load(path: Path) -> Module:
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return parse(path.read_text(encoding="utf-8"), name)
