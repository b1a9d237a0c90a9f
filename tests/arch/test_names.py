"""A call reads: a function that is imported alone says by its own name what it acts on.

``note.verify`` verifies a note; ``verify`` alone could verify anything. So the words that many modules define are
called on the module, which is the noun, or under a name that tells (``format as format_entry``).
"""

import ast
from collections.abc import Iterator

import pytest

from tests.arch.tree import Module, parse, violations

OF = ("airlift.evidence", "airlift.ledger", "airlift.policy")
"""The rooms whose functions are judged, whoever imports them."""
WORDS = frozenset(
    {
        "add", "append", "check", "create", "decode", "draw", "encode", "fold", "format", "judge", "keep", "load",
        "make", "open", "parse", "prove", "read", "sign", "verify", "write",
    }
)  # fmt: skip


def bare_words(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and _judged(node.module or ""):
            for alias in node.names:
                if (alias.asname or alias.name) in WORDS:
                    yield f"{module.where(node)} imports {alias.name} alone: call it on {node.module}"


def _judged(name: str) -> bool:
    return any(f"{name}.".startswith(f"{room}.") for room in OF)


def test_functions_that_are_imported_alone_say_what_they_act_on() -> None:
    assert violations(bare_words) == []


@pytest.mark.parametrize(
    "source",
    [
        "from airlift.ledger import note\nnote.verify(1)\n",
        "from airlift.ledger.entry import format as format_entry\n",
        "from airlift.ledger.log import open_log\n",
        "from airlift.ledgers import verify\n",
    ],
)
def test_good_examples(source: str) -> None:
    assert list(bare_words(parse(source))) == []


@pytest.mark.parametrize(
    "source",
    [
        "from airlift.ledger.note import verify\n",
        "def f():\n    from airlift.policy.document import parse\n",
        "from airlift.evidence.controls import parse_all as parse\n",
    ],
)
def test_bad_examples(source: str) -> None:
    assert len(list(bare_words(parse(source)))) == 1
