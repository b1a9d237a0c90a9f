"""Where the files of a component come from: a path, a hub, an address, an enclave (SPEC 5.1-9, 5.1-17, 5.1-18). Pure.

A source is the object of the manifest as it stands there. What was taken over from an enclave says in ``origin`` what
its source was there, so a chain of sources leads to where the files were first gathered, or made.

>>> inside = {"kind": "registered", "enclave": "alpha"}
>>> taken = {"kind": "enclave", "enclave": "alpha", "component": "tuned", "origin": inside}
>>> [step["kind"] for step in chain(taken)], first(taken) == inside
(['enclave', 'registered'], True)
"""

import re
from collections.abc import Iterator
from typing import Any

from airlift import strict
from airlift.bundle import fields, patterns
from airlift.bundle.fields import COMPONENT_NAME, ENCLAVE_NAME, VERSION
from airlift.bundle.paths import check_relative
from airlift.bundle.patterns import LeftOut
from airlift.errors import MalformedError

PATH, HUB, REGISTERED, ENCLAVE = "path", "hub", "registered", "enclave"
HTTPS, BUCKET, OCI = "https", "bucket", "oci"
FETCHED = (HTTPS, BUCKET, OCI)
"""The kinds of what the low side fetched from an address (SPEC 5.1-18)."""
INSIDE = (REGISTERED, ENCLAVE)
"""The kinds of what was made in an enclave: the authority that revokes knows nothing of it (SPEC 5.4-1)."""
MAX_TAKEN = 8
"""How often a component may have been taken over from an enclave."""
ROOT_BITS = 384
MAX_ADDRESS = 2048
MAX_VERSION = 1024
FORMS = ("files", "layout")
"""What becomes of an image of a registry: files under their titles, or an OCI layout of its blobs."""

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
# Printable ASCII, and no `@`, `?` or `#`: neither a user nor a query, where tokens stand.
_PLACE = r"/[!$-;=A-Z_a-z~%]*"
_URL = {
    HTTPS: re.compile(rf"https?://{_HOST}{_PLACE}"),
    BUCKET: re.compile(rf"(?:s3|gs|az)://[a-z0-9][a-z0-9._-]{{1,62}}{_PLACE}"),
}
_ENDPOINT = re.compile(rf"https?://{_HOST}(?:{_PLACE})?")
_NAME = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(rf"{_HOST}/{_NAME}(?:/{_NAME})*@(?:sha256:[0-9a-f]{{64}}|sha512:[0-9a-f]{{128}})")

_KEYS = {
    PATH: frozenset({"kind", "path"}),
    HUB: frozenset({"kind", "repo", "revision", "include"}),
    REGISTERED: frozenset({"kind", "enclave"}),
    ENCLAVE: frozenset({"kind", "enclave", "release", "component", "entry", "size", "root", "origin"}),
    HTTPS: frozenset({"kind", "url"}),
    BUCKET: frozenset({"kind", "url", "endpoint", "versions"}),
    OCI: frozenset({"kind", "reference", "form"}),
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
    return kind in INSIDE + FETCHED or not _NEW_KEYS.isdisjoint(source.keys() - _KEYS.get(kind, frozenset()))


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
    if kind in FETCHED:
        return f"gathered from {address(source)}"
    return f"gathered from path {source.get('path')}"


def is_fetched(source: dict[str, Any]) -> bool:
    """Say whether what comes from this source was fetched from an address (SPEC 5.1-18)."""
    return source.get("kind") in FETCHED


def address(source: dict[str, Any]) -> str:
    """Return the address that something was fetched from in one word: a URL, or ``oci:`` and the reference."""
    if source["kind"] == OCI:
        return f"oci:{source['reference']}"
    return str(source["url"])


def at_endpoint(source: dict[str, Any]) -> str:
    """Return for people :func:`address`, and of a bucket the endpoint that it was asked of, if one is stated."""
    there = f" at {source['endpoint']}" if "endpoint" in source else ""
    return address(source) + there


def _checked(document: dict[str, Any], what: str, *, more: bool) -> str:
    """Check one source without its origin, and return its kind."""
    kind: str = strict.member(document, "kind", str, what)
    if kind not in _KEYS or (kind in INSIDE + FETCHED and not more):
        raise MalformedError(f"{what} has an unknown kind", found=ascii(kind[:40]))
    if kind in INSIDE:
        strict.only(document, _KEYS[kind], what)
        fields.name(document, "enclave", what, ENCLAVE_NAME)
        if kind == ENCLAVE:
            _check_taken(document, what)
        return kind
    strict.only(document, _KEYS[kind] | (_NEW_KEYS if more else frozenset()), what)
    if kind in FETCHED:
        _check_fetched(document, kind, what)
        _check_patterns(document, frozenset(), what)
    else:
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
    _check_patterns(document, _KEYS[kind], what)


def _check_patterns(document: dict[str, Any], old: frozenset[str], what: str) -> None:
    """Check the patterns that are no ``old`` keys of this kind, and what all of them left out."""
    for key in (_NEW_KEYS - old - {"left_out"}) & document.keys():
        patterns.patterns(document, key, what)
    if "left_out" in document:
        LeftOut.from_json(document["left_out"], f"{what}: 'left_out'")
        if patterns.of_source(document) == patterns.EVERYTHING:
            raise MalformedError(f"{what} leaves files out without a pattern")


def _check_fetched(document: dict[str, Any], kind: str, what: str) -> None:
    """Check the address that files were fetched from."""
    if kind == OCI:
        _address(document, "reference", what, _REFERENCE)
        form = strict.member(document, "form", str, what)
        if form not in FORMS or (form == "layout" and not _NEW_KEYS.isdisjoint(document)):
            raise MalformedError(
                f"{what}: 'form' is unknown, or files of a layout are chosen", found=ascii(form)[:40]
            )
        return
    _address(document, "url", what, _URL[kind])
    if "endpoint" in document:
        _address(document, "endpoint", what, _ENDPOINT)
    if "versions" in document:
        _check_versions(strict.member(document, "versions", list, what), f"{what}: 'versions'")


def _address(document: dict[str, Any], key: str, what: str, pattern: re.Pattern[str]) -> None:
    value: str = strict.member(document, key, str, what)
    if len(value) > MAX_ADDRESS or not pattern.fullmatch(value):
        raise MalformedError(f"{what}: {key!r} is not such an address", found=ascii(value[:80]))


def _check_versions(versions: list[Any], what: str) -> None:
    """Check which version of an object each file is, by path."""
    paths = []
    for item in versions:
        strict.only(item, frozenset({"path", "version"}), what)
        paths.append(check_relative(strict.member(item, "path", str, what)))
        version = fields.text(item, "version", what)
        if not 1 <= len(version) <= MAX_VERSION or not version.isascii() or "\n" in version:
            raise MalformedError(f"{what}: not the version of an object", found=ascii(version[:40]))
    if not paths or paths != sorted(set(paths)):
        raise MalformedError(f"{what} must be sorted by path, distinct, and not empty")


def is_url(kind: str, url: str) -> bool:
    """Say whether ``url`` can be that of a source of kind ``https`` or ``bucket``."""
    return len(url) <= MAX_ADDRESS and _URL[kind].fullmatch(url) is not None


def is_endpoint(url: str) -> bool:
    """Say whether ``url`` can be the endpoint of a bucket."""
    return len(url) <= MAX_ADDRESS and _ENDPOINT.fullmatch(url) is not None


def is_reference(reference: str) -> bool:
    """Say whether a reference of a registry is whole: ``HOST/NAME@sha256:HEX``."""
    return len(reference) <= MAX_ADDRESS and _REFERENCE.fullmatch(reference) is not None
