"""No command carries content out of an enclave: nothing of the high side reaches what makes bundles (SPEC 8.6).

Followed is every import, those within functions included, from each module of the high side on. What makes a bundle
is the low side, and what signs metadata; volumes are written by the relay alone, which writes what it was given.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

import pytest

from tests.arch.test_imports import imports
from tests.arch.tree import Module, modules, parse

BUNDLERS = (
    "airlift.low",
    "airlift.cli.low",
    "airlift.trust.tuf.bundling",
    "airlift.trust.tuf.change",
    "airlift.trust.tuf.proposal",
    "airlift.trust.tuf.publication",
)
"""Rooms and modules that gather content for others, code it, or sign what lists it."""
WRITER = "airlift.media.volume_writer"
FRAME = "airlift.cli.frame"
LOADED = (
    "airlift.low",
    *(
        f"airlift.cli.{group}"
        for group in ("doctor", "high", "keys", "low", "manual", "provenance", "standing")
    ),
)
"""What the frame of all commands loads for the group that was asked for: no import of whoever uses the frame."""
HIGH = ("airlift.high", "airlift.cli.high")


Edges = Mapping[str, Collection[str]]
"""What each module imports."""


def edges(known: Iterable[Module]) -> Edges:
    """Return what each of these modules imports: as it stands there, and the module that a name may be of."""
    return {module.name: set(_names(module)) for module in known}


def reached(start: str, known: Edges) -> set[str]:
    """Return every module that ``start`` imports, at any remove."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in known and name not in seen:
            seen.add(name)
            waiting += known[name]
    return seen


def ways_out(start: str, known: Edges) -> list[str]:
    """Return what of :data:`BUNDLERS` a module reaches."""
    return [name for name in sorted(reached(start, known)) if _inside(name, BUNDLERS)]


def _names(module: Module) -> Iterator[str]:
    for _, name in imports(module.tree):
        for found in (name, name.rpartition(".")[0]):
            if not (_inside(module.name, (FRAME,)) and _inside(found, LOADED)):
                yield found


def _inside(name: str, rooms: Iterable[str]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def _high(known: Collection[str]) -> list[str]:
    return sorted(name for name in known if _inside(name, HIGH))


KNOWN = edges(modules())


def test_nothing_of_the_high_side_reaches_a_bundler() -> None:
    starts = _high(KNOWN)
    assert len(starts) > 60
    assert {name: found for name in starts if (found := ways_out(name, KNOWN))} == {}


def test_what_makes_bundles_is_there() -> None:
    """A room that was renamed would let everything pass."""
    for room in (*BUNDLERS, WRITER, FRAME):
        assert any(_inside(name, (room,)) for name in KNOWN), room
    assert ways_out("airlift.low.bundle.make_bundle", KNOWN)


def test_volumes_are_written_by_the_relay_alone() -> None:
    relay = ("airlift.high.relaying", "airlift.cli.high.relay")
    through = [name for name in _high(KNOWN) if WRITER in reached(name, KNOWN)]
    assert through
    assert [name for name in through if not _inside(name, relay)] == []


@pytest.mark.parametrize(
    "source",
    [
        "import airlift.low.bundle.make_bundle\n",
        "from airlift.low.bundle import make_bundle\n",
        "def f():\n    from airlift.low.bundle.make_bundle import make_bundle\n",
        "import importlib\ndef f():\n    importlib.import_module('airlift.low.bundle.publish')\n",
        "from airlift.trust.tuf import bundling\n",
        "from airlift.high.example import there\n",
    ],
)
def test_a_way_out_is_found(source: str) -> None:
    there = parse("from airlift.trust.tuf.publication import publish\n", "airlift.high.example")
    known = {**KNOWN, **edges([there, parse(source, "airlift.high.tried")])}
    assert ways_out("airlift.high.tried", known)
