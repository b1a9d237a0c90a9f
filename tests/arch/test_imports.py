"""Who may import what, function-level imports included; import-linter checks the layers themselves."""

import ast
from collections.abc import Iterator

import pytest

from tests.arch.tree import Function, Module, Rule, dotted, modules, parse, violations

NETWORK = {
    "aiohttp",
    "ftplib",
    "http",
    "httpx",
    "obstore",
    "requests",
    "smtplib",
    "socket",
    "socketserver",
    "ssl",
    "urllib",
    "urllib3",
}
NETWORK_ROOMS = (
    "airlift.low.release.hub.endpoint",
    "airlift.low.sources.buckets",
    "airlift.low.sources.web",
    "airlift.high.serving.bucket",
)
"""The only modules that open sockets; that of the high side goes to an endpoint that policy names (SPEC 8.7-10)."""
PARSERS_OF_ADDRESSES = {"urllib.parse"}  # pure text: opens nothing

# Extras: never imported by loading a module, so that airlift works without them.
OPTIONAL = {"dask", "distributed", "huggingface_hub", "obstore", "pkcs11"}

# Formats that run code, or that nest files where scanners do not look.
UNSAFE = {"dill", "joblib", "marshal", "pickle", "shelve", "tarfile", "zipfile"}

# Where other tools' archives are listed and read through (docs/decisions/023), and never extracted.
LISTED = {
    "airlift.intake.gate.forms.archive": "zipfile",
    "airlift.intake.gate.forms.chart_archive": "tarfile",
    "airlift.layouts.tar_layer": "tarfile",  # writes the headers of layers, and reads none
}
EXTRACTING = {"extract", "extractall", "unpack_archive"}

PURE = ("airlift.bundle", "airlift.codec", "airlift.erasure", "airlift.policy")
CLOCKS = {"now", "today", "utcnow"}


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt | ast.expr, str]]:
    """Yield (node, dotted name) of everything imported below ``tree``, by statement or by a call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and dotted(node.func) in {
            "__import__",
            "importlib.import_module",
            "import_module",
        }:
            name = node.args[0] if node.args else None
            yield node, name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else "?"


def network(module: Module) -> Iterator[str]:
    if module.name in NETWORK_ROOMS:
        return
    for node, name in imports(module.tree):
        allowed = any(f"{name}.".startswith(f"{parser}.") for parser in PARSERS_OF_ADDRESSES)
        if (_top(name) in NETWORK or _top(name) == "huggingface_hub") and not allowed:
            yield f"{module.where(node)} imports {name}: only {NETWORK_ROOMS} open sockets"


def optional(module: Module) -> Iterator[str]:
    inside = {
        id(node)
        for function in ast.walk(module.tree)
        if isinstance(function, Function)
        for node, _ in imports(function)
    }
    for node, name in imports(module.tree):
        if _top(name) in OPTIONAL and id(node) not in inside:
            yield f"{module.where(node)} imports {name}, an extra: import it in the function that needs it"


def unsafe(module: Module) -> Iterator[str]:
    for node, name in imports(module.tree):
        if _top(name) in UNSAFE and LISTED.get(module.name) != name:
            yield f"{module.where(node)} imports {name}"


def extracting(module: Module) -> Iterator[str]:
    """Find what would unpack an archive to a disk."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in EXTRACTING:
            yield f"{module.where(node)} unpacks an archive"


def unknown(module: Module) -> Iterator[str]:
    for node, name in imports(module.tree):
        if name == "?":
            yield f"{module.where(node)} imports a name that cannot be read from the source"


def impure(module: Module) -> Iterator[str]:
    """Find clocks and files that need no import of their own: ``datetime.now()``, ``open()``."""
    if not module.inside(*PURE):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            if name == "open" or ("." in name and name.rpartition(".")[2] in CLOCKS):
                yield f"{module.where(node)} calls {name}() in a pure room"


def bare_updater(module: Module) -> Iterator[str]:
    """Find a ``tuf.ngclient.Updater`` that would fetch over the network."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == "Updater":
            fetcher = {item.arg: item.value for item in node.keywords}.get("fetcher")
            if fetcher is None or (isinstance(fetcher, ast.Constant) and fetcher.value is None):
                yield f"{module.where(node)} constructs an Updater without fetcher="


def _top(name: str) -> str:
    return name.partition(".")[0]


RULES = (network, optional, unsafe, extracting, unknown, impure, bare_updater)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.__name__))
def test_the_tree_follows(rule: Rule) -> None:
    assert violations(rule) == []


def test_the_standalone_verifier_imports_nothing_of_airlift() -> None:
    verifier = [module for module in modules() if module.name == "airlift.verify"]
    assert len(verifier) == 1
    assert [name for _, name in imports(verifier[0].tree) if _top(name) == "airlift"] == []
    relative = [
        node for node in ast.walk(verifier[0].tree) if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        (network, "airlift.low.release.hub.endpoint", "def f():\n    import huggingface_hub\n"),
        (network, "airlift.trust.keys.token", "from urllib.parse import unquote\nimport urllib.parse\n"),
        (network, "airlift.high.returns", "from airlift.bundle import requests\n"),
        (optional, "airlift.trust.keys.token", "def f():\n    import pkcs11\n"),
        (unsafe, "airlift.tensors", "import json\n"),
        (unsafe, "airlift.intake.gate.forms.archive", "import zipfile\n"),
        (unknown, "airlift.cli", "import importlib\nimportlib.import_module('airlift.low')\n"),
        (impure, "airlift.high.receive", "open('x')\n"),
        (impure, "airlift.policy", "from datetime import datetime\ndatetime(2026, 1, 1)\n"),
        (bare_updater, "airlift.trust.verify", "Updater(folder, fetcher=medium)\n"),
    ],
)
def test_good_examples(rule: Rule, name: str, source: str) -> None:
    assert list(rule(parse(source, name))) == []


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        (network, "airlift.high.receive", "def f():\n    import huggingface_hub\n"),
        (network, "airlift.low.release.make_release", "from urllib import request\n"),
        (network, "airlift.low.release.make_release", "import urllib.request\n"),
        (
            network,
            "airlift.low.release.make_release",
            "import importlib\nimportlib.import_module('socket')\n",
        ),
        (optional, "airlift.low.release.hub.endpoint", "import huggingface_hub\n"),
        (optional, "airlift.trust.keys.token", "try:\n    import pkcs11\nexcept ImportError:\n    pass\n"),
        (unsafe, "airlift.tensors", "def f():\n    from pickle import loads\n"),
        (unsafe, "airlift.intake.gate.forms.archive", "import tarfile\n"),
        (extracting, "airlift.intake.gate.forms.archive", "archive.extractall('x')\n"),
        (unknown, "airlift.cli", "def f(name):\n    __import__(name)\n"),
        (impure, "airlift.policy", "from datetime import datetime\ndatetime.now()\n"),
        (impure, "airlift.codec.block", "open('x')\n"),
        (bare_updater, "airlift.trust.verify", "ngclient.Updater(folder, url)\n"),
        (bare_updater, "airlift.trust.verify", "Updater(folder, fetcher=None)\n"),
    ],
)
def test_bad_examples(rule: Rule, name: str, source: str) -> None:
    assert len(list(rule(parse(source, name)))) >= 1
