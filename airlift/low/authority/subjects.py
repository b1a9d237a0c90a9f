"""What a person names to be revoked: a release, a component, the content of a file, or a key.

A text that could be more than one of them is refused, with what it could be; a prefix chooses: ``release:``,
``component:``, ``file:`` or ``key:``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from airlift.bundle.fields import is_hex
from airlift.bundle.revocations import COMPONENT, FILE, KEY, KINDS, RELEASE, Revocation
from airlift.errors import KeyUnavailableError, NotHeldError, UsageError
from airlift.low.depot import known
from airlift.low.depot.depot import Depot
from airlift.low.depot.known import Thing
from airlift.store import release_lookup
from airlift.store.release_lookup import MIN_PREFIX
from airlift.trust.keys.public import load_public, read_key_file
from airlift.trust.statements import model_signing

SHA512, SHA256 = 128, 64
"""Hex digits of each."""

Readings = dict[str, dict[str, tuple[str, ...]]]
"""What a text may mean: names by digest or key id, by kind."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a text names: kind, digest or key id (hex), and what people call it; ``known`` says if the depot does."""

    kind: str
    digest: str
    names: tuple[str, ...] = ()
    known: bool = True


def find(depot: Depot, text: str) -> tuple[Named, ...]:
    """Return what ``text`` names: one thing, or the components of several digests under one name and version.

    A digest that the depot does not know is that of a file; a key id needs its prefix then.

    Raises:
        NotHeldError: the depot knows nothing of that name.
        UsageError: it fits several things.
        KeyUnavailableError, MalformedError: it is a key file that cannot be used.
    """
    kinds, rest = _prefix(text)
    readings = {kind: found for kind, found in _readings(depot, rest, kinds).items() if found}
    if not readings:
        return (_unknown(text, rest, kinds),)
    return _one(text, rest, readings)


def find_listed(depot: Depot, text: str, entries: Iterable[Revocation]) -> tuple[Named, ...]:
    """Return which of these revocations ``text`` names; the first digits of a digest or key id are enough.

    Raises:
        NotHeldError: none.
        UsageError: it fits several things.
    """
    kinds, rest = _prefix(text)
    readings = _readings(depot, rest, kinds)
    found: Readings = {}
    for item in entries:
        named = readings.get(item.kind, {})
        begins = len(rest) >= MIN_PREFIX and is_hex(rest, len(rest)) and item.digest.startswith(rest)
        if item.kind in kinds and (item.digest in named or begins):
            found.setdefault(item.kind, {})[item.digest] = named.get(item.digest, ())
    if not found:
        raise NotHeldError(
            f"{text[:200]!a} is not revoked",
            expected="what a revocation in the list names",
            hint="see what is revoked: `airlift low list`",
        )
    return _one(text, rest, found)


def _one(text: str, rest: str, readings: Readings) -> tuple[Named, ...]:
    """Return the one reading of a text; several digests of it only as components of one name."""
    ((kind, found), *others) = readings.items()
    if others or (len(found) > 1 and kind != COMPONENT):
        choices = [
            f"{kind}:{rest if others else digest[:32]} ({', '.join(names[:2]) or digest[:32]})"
            for kind, several in readings.items()
            for digest, names in several.items()
        ]
        raise UsageError(
            f"{text[:200]!a} fits more than one thing",
            found=", ".join(choices[:6]),
            hint=f"say which: {' or '.join(choice.partition(' ')[0] for choice in choices[:6])}",
        )
    return tuple(Named(kind, digest, names) for digest, names in sorted(found.items()))


def _prefix(text: str) -> tuple[tuple[str, ...], str]:
    """Return the kinds that a text may name, and the text without a prefix that says so."""
    prefix, colon, rest = text.partition(":")
    kinds, rest = ((prefix,), rest) if colon and prefix in KINDS else (KINDS, text)
    digits = rest.lower()
    return kinds, digits if is_hex(digits, len(digits)) else rest


def _readings(depot: Depot, text: str, kinds: tuple[str, ...]) -> Readings:
    """Return what a text means among what the depot knows, and as a key file."""
    found: Readings = {}
    if KEY in kinds and text.endswith(".pub") and Path(text).is_file():
        key_id = _key_id(Path(text))
        return {KEY: {key_id: _names(depot, KEY, key_id) or (Path(text).stem,)}}
    releases = {item.digest for item in release_lookup.find(text, depot.releases())}
    for thing in known.things(depot):
        if thing.kind in kinds and _fits(thing, text, releases):
            names = found.setdefault(thing.kind, {})
            names[thing.digest] = tuple(dict.fromkeys((*names.get(thing.digest, ()), thing.name)))
    return found


def _key_id(path: Path) -> str:
    """Return what a key in a file is revoked by: its id, or what stands for one of a vendor's (SPEC 5.4)."""
    try:
        return load_public(path).key_id
    except KeyUnavailableError:
        (fingerprint,) = model_signing.key_ids(
            model_signing.KEY, [read_key_file(path).decode("ascii", "replace")]
        )
        return fingerprint


def _fits(thing: Thing, text: str, releases: set[str]) -> bool:
    if thing.kind == RELEASE:
        return thing.digest in releases
    return thing.digest == text or (thing.kind == COMPONENT and thing.name == text)


def _names(depot: Depot, kind: str, digest: str) -> tuple[str, ...]:
    found = (thing.name for thing in known.things(depot) if (thing.kind, thing.digest) == (kind, digest))
    return tuple(dict.fromkeys(found))


def _unknown(text: str, rest: str, kinds: tuple[str, ...]) -> Named:
    """Return what a digest that the depot does not know stands for, if that is clear."""
    possible: Mapping[int, tuple[str, ...]] = {SHA512: (FILE,), SHA256: (FILE, KEY)}
    fitting = [kind for kind in possible.get(len(rest), ()) if kind in kinds and is_hex(rest, len(rest))]
    if len(fitting) > 1:
        raise UsageError(
            f"{rest} may be the SHA-256 of a file or the id of a key, and the depot knows neither",
            hint=f"say which: file:{rest} or key:{rest}",
        )
    if not fitting:
        raise NotHeldError(
            f"the depot knows nothing that is called {text[:200]!a}",
            expected="a release or component (name@version), the digest of a file, a .pub file, or a key id",
            hint="see what there is: `airlift low list`",
        )
    return Named(fitting[0], rest, known=False)
