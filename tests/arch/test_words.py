"""One word per concept: nouns that the design rules out are not names of anything here.

Only names that airlift defines are judged (functions, classes, arguments, variables, attributes, aliases, modules).
Names that Python or a library defines may be used: the builtin ``hash``, hashlib, TUF's ``hashes``.
"""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.arch.tree import Function, Module, parse, violations

INSTEAD = {
    "artifact": "component or file",
    "checksum": "digest",
    "hash": "digest",
    "package": "bundle or component",
    "patch": "delta",
    "shard": "volume or chunk",
    "snapshot": "state",
    "update": "bundle, release or delta",
}

# Words of a format stay words of a format, in the folder that reads or writes it.
OWNED = {
    "airlift.evidence.documents": {"hash", "package"},  # CycloneDX lists hashes, SPDX has packages
    "airlift.evidence.names": {"package"},  # a package URL is a package URL
    "airlift.low.bundle.sharding": {"shard"},  # a part of a plan that is coded apart
    "airlift.low.release.hub": {"snapshot"},  # what Hugging Face calls one commit of a repository
    "airlift.tensors": {"shard"},  # safetensors calls the files of one model so
    "airlift.trust.tuf": {"snapshot"},  # a role of TUF
}
PROTOCOLS = {"__hash__"}  # Python's


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def forbidden_words(module: Module) -> Iterator[str]:
    names = [(f"{module.name}:1", module.name.rpartition(".")[2]), *_defined(module)]
    owned = set[str]().union(*(words for folder, words in OWNED.items() if module.inside(folder)))
    for where, name in names:
        for word in () if name in PROTOCOLS else _words(name):
            if word in INSTEAD and word not in owned:
                yield f"{where}: {name!r} says {word!r}, the word is {INSTEAD[word]}"


def _defined(module: Module) -> Iterator[tuple[str, str]]:
    """Yield (place, name) for every name that the module defines."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef | Function):
            yield module.where(node), node.name
        elif isinstance(node, ast.arg):
            yield module.where(node), node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield module.where(node), node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield module.where(node), node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield module.where(node), node.asname


def _words(name: str) -> Iterator[str]:
    for match in _WORD.finditer(name):
        word = match.group().lower()
        yield word
        yield word.removesuffix("s")
        yield word.removesuffix("es")


def test_names_use_the_words_of_the_design() -> None:
    assert violations(forbidden_words) == []


@pytest.mark.parametrize(
    "source",
    [
        "import hashlib\ndigest = hashlib.sha512()\n",
        "value = hash((1, 2))\n",
        "def read(target):\n    return target.hashes['sha512']\n",
        "class C:\n    def __hash__(self):\n        return 1\n",
        "def dispatch():\n    pass\n",
    ],
)
def test_names_of_others_are_allowed(source: str) -> None:
    assert list(forbidden_words(parse(source))) == []


@pytest.mark.parametrize(
    "source",
    [
        "file_hash = 1\n",
        "def check(checksums):\n    pass\n",
        "class FilePatch:\n    pass\n",
        "import tarball as package\n",
        "def f(self):\n    self.shard = 1\n",
        "for artifact in ():\n    pass\n",
    ],
)
def test_other_names_are_found(source: str) -> None:
    assert len(list(forbidden_words(parse(source)))) >= 1


@pytest.mark.parametrize(
    ("source", "owner", "other"),
    [
        ("for shard in ():\n    pass\n", "airlift.tensors.formats.index", "airlift.bundle.chunk"),
        ("def _packages():\n    pass\n", "airlift.evidence.documents.spdx", "airlift.evidence.facts"),
        ("SNAPSHOT = 1\n", "airlift.trust.tuf.metadata", "airlift.ledger.state"),
    ],
)
def test_words_of_a_format_belong_where_it_is_read_or_written(source: str, owner: str, other: str) -> None:
    assert list(forbidden_words(parse(source, owner))) == []
    assert list(forbidden_words(parse(source, other))) != []
