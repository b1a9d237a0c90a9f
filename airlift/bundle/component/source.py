"""Where the files of a component come from: a path, a hub, or an enclave (SPEC 5.1-9, 5.1-17). Pure.

A source is the object of the manifest as it stands there. What was taken over from an enclave says in ``origin`` what
its source was there, so a chain of sources leads to where the files were first gathered, or made.

>>> inside = {"kind": "registered", "enclave": "alpha"}
>>> taken = {"kind": "enclave", "enclave": "alpha", "component": "tuned", "origin": inside}
>>> [step["kind"] for step in chain(taken)], first(taken) == inside
(['enclave', 'registered'], True)
"""

from collections.abc import Iterator
from typing import Any

from airlift import strict
from airlift.bundle import fields, patterns
from airlift.bundle.fields import COMPONENT_NAME, ENCLAVE_NAME, VERSION
from airlift.bundle.patterns import LeftOut
from airlift.errors import MalformedError

PATH, HUB, REGISTERED, ENCLAVE = "path", "hub", "registered", "enclave"
INSIDE = (REGISTERED, ENCLAVE)
"""The kinds of what was made in an enclave: the authority that revokes knows nothing of it (SPEC 5.4-1)."""
MAX_TAKEN = 8
"""How often a component may have been taken over from an enclave."""
ROOT_BITS = 384

_KEYS = {
    PATH: frozenset({"kind", "path"}),
    HUB: frozenset({"kind", "repo", "revision", "include"}),
    REGISTERED: frozenset({"kind", "enclave"}),
    ENCLAVE: frozenset({"kind", "enclave", "release", "component", "entry", "size", "root", "origin"}),
}
# What format 2 added to a path and to a hub: each stands only where it says something (SPEC 5.1-12).
_NEW_KEYS = frozenset({"include", "exclude", "left_out"})


def from_json(document: dict[str, Any], *, more: bool) -> dict[str, Any]:
    """Check a source, and return it; ``more`` says that what format 2 added may stand in it.

    Raises:
        MalformedError: an unknown kind or key, a wrong value, or a chain that is too long.
    """
    what = "release manifest: source"
    step, taken = document, 0
    while _checked(step, what, more=more) == ENCLAVE:
        taken += 1
        if taken > MAX_TAKEN:
            raise MalformedError(f"{what} was taken over too often", expected=f"at most {MAX_TAKEN} times")
        step = step["origin"]
    return document


def is_new(source: dict[str, Any]) -> bool:
    """Say whether a source says something that only format 2 can say."""
    kind = source.get("kind", "")
    return kind in INSIDE or not _NEW_KEYS.isdisjoint(source.keys() - _KEYS.get(kind, frozenset()))


def chain(source: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a source and, of what was taken over from an enclave, its source there, and so on."""
    yield source
    while "origin" in source:
        source = source["origin"]
        yield source


def first(source: dict[str, Any]) -> dict[str, Any]:
    """Return the source that a chain ends with: where the files were first gathered, or made."""
    *_, last = chain(source)
    return last


def is_registered(source: dict[str, Any]) -> bool:
    """Say whether what comes from this source was trained in the enclave that holds it (SPEC 8.6)."""
    return source.get("kind") == REGISTERED


def is_inside(source: dict[str, Any]) -> bool:
    """Say whether what comes from this source was made in, or came through, an enclave."""
    return source.get("kind") in INSIDE


def told(source: dict[str, Any]) -> str:
    """Return for people where in a chain the files came from at this source, without what they came from there."""
    kind = source.get("kind")
    if kind == ENCLAVE:
        release = source["release"]
        there = f"{source['component']} of {release['name']}@{release['version']}"
        return f"taken over from enclave {source['enclave']} ({there}, entry {source['entry']})"
    if kind == REGISTERED:
        return f"trained in enclave {source['enclave']}"
    if kind == HUB:
        return f"gathered from {source['repo']} at {source['revision'][:12]}"
    return f"gathered from path {source.get('path')}"


def _checked(document: dict[str, Any], what: str, *, more: bool) -> str:
    """Check one source without its origin, and return its kind."""
    kind: str = strict.member(document, "kind", str, what)
    if kind not in _KEYS or (kind in INSIDE and not more):
        raise MalformedError(f"{what} has an unknown kind", found=ascii(kind[:40]))
    if kind in INSIDE:
        strict.only(document, _KEYS[kind], what)
        fields.name(document, "enclave", what, ENCLAVE_NAME)
        if kind == ENCLAVE:
            _check_taken(document, what)
        return kind
    strict.only(document, _KEYS[kind] | (_NEW_KEYS if more else frozenset()), what)
    _check_gathered(document, kind, what)
    return kind


def _check_taken(document: dict[str, Any], what: str) -> None:
    """Check what says where in an enclave, and in its ledger, a component was found."""
    release = strict.only(
        strict.member(document, "release", dict, what), frozenset({"digest", "name", "version"}), what
    )
    fields.digest(release, "digest", what)
    fields.name(release, "name", what, COMPONENT_NAME)
    fields.name(release, "version", what, VERSION)
    fields.name(document, "component", what, COMPONENT_NAME)
    size = fields.count(document, "size", what, least=1)
    fields.count(document, "entry", what, most=size - 1)
    fields.digest(document, "root", what, bits=ROOT_BITS)
    strict.member(document, "origin", dict, what)


def _check_gathered(document: dict[str, Any], kind: str, what: str) -> None:
    """Check a path or a hub, and the patterns that chose among its files."""
    for key in _KEYS[kind] - {"include"}:
        fields.text(document, key, what)
    if kind == HUB:
        for pattern in strict.member(document, "include", list, what):
            fields.text({"include": pattern}, "include", what)
    for key in (_NEW_KEYS - _KEYS[kind] - {"left_out"}) & document.keys():
        patterns.patterns(document, key, what)
    if "left_out" in document:
        LeftOut.from_json(document["left_out"], f"{what}: 'left_out'")
        if patterns.of_source(document) == patterns.EVERYTHING:
            raise MalformedError(f"{what} leaves files out without a pattern")
