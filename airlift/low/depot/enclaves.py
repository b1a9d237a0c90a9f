"""Records of registered enclaves, one file each: its ledger's public key, and what it acknowledged (SPEC L1.5, L1.6).

Only ``low/returns`` adds to what is acknowledged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airlift import files, strict
from airlift.bundle import fields
from airlift.bundle.component import source as sources
from airlift.bundle.component.variant import MAX_RULES, Rule, rule_from_json
from airlift.bundle.fields import COMPONENT_NAME, ENCLAVE_NAME, LEVELS, Marking
from airlift.bundle.manifest import ANY_ENCLAVE, MAX_PORTIONS, MAX_SEQUENCE, SEVERAL
from airlift.bundle.release import Release
from airlift.bundle.returns.stated_ledger import MAX_NOTE, START_DIGITS
from airlift.errors import MalformedError, MarkingError, NotHeldError, UsageError
from airlift.low.depot.depot import Depot

MAX_BYTES = 64 << 20

WITH_RETURNS = 2
"""The format of a record of an enclave from which something came back, or whose ceiling is known."""

_KEYS = frozenset({"enclave", "enrolled", "ledger_key", "fingerprint", "acknowledged"})
_NEW_KEYS = frozenset({"newest", "word", "ceiling", "variants"})
_NEWEST = frozenset({"checkpoint", "receipt", "sequence", "counter"})
_ACKNOWLEDGED = frozenset({"release", "sequence", "time", "known_by"})
RECEIPT, OPERATOR = "receipt", "operator"
KNOWN_BY = (RECEIPT, OPERATOR)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A release (digest, hex) that an enclave says it holds; ``known_by`` is receipt (signed) or operator.

    ``variants`` are the names of those of its variants that the enclave says it holds, None if it does not say.
    """

    release: str
    sequence: int
    time: str
    known_by: str
    variants: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Newest:
    """What an enclave signed last: its newest checkpoint note, and what its last receipt said.

    ``receipt`` is the size of the ledger when that was made, 0 before the first; ``sequence`` that of the newest
    bundle then. No number up to ``counter`` may be used for another bundle.
    """

    checkpoint: str
    receipt: int = 0
    sequence: int = 0
    counter: int = 0


@dataclass(frozen=True, slots=True)
class Word:
    """What the newest typed receipt says of the ledger: its size, and the first 40 bits of its root (hex)."""

    size: int
    root: str


@dataclass(frozen=True, slots=True)
class EnclaveRecord:
    """A registered enclave: its ledger's public key (PEM) and fingerprint, and what it acknowledged, oldest first.

    ``newest`` is what was signed last, ``word`` what was typed since, if anything. ``ceiling`` is up to what marking
    the enclave may hold, None if nobody said. ``variants`` are the rules that its policy is known to choose by.
    """

    enclave: str
    enrolled: str
    ledger_key: str
    fingerprint: str
    acknowledged: tuple[Acknowledged, ...]
    newest: Newest | None = None
    word: Word | None = None
    ceiling: Marking | None = None
    variants: tuple[Rule, ...] = ()


def check_name(enclave: str) -> str:
    """Return ``enclave`` if it can be the name of one.

    Raises:
        UsageError: it cannot.
    """
    if not ENCLAVE_NAME.match(enclave) or enclave == ANY_ENCLAVE:
        raise UsageError(
            f"not a name for an enclave: {enclave[:40]!a}",
            expected=f"1 to 24 of a-z 0-9 -, and not {ANY_ENCLAVE!r}",
        )
    return enclave


def check_ceiling(depot: Depot, enclave: str | None, release: Release) -> None:
    """Check that an enclave may hold a release, as far as the depot knows its ceiling (SPEC L1.7).

    What was taken over from an enclave goes to one enclave whose ceiling is known, and nowhere else (SPEC L4.17).

    Raises:
        MarkingError: it may not, or nobody knows.
    """
    marking = release.marking
    ceiling = load(depot, enclave).ceiling if enclave is not None and enclave in names(depot) else None
    if ceiling is None:
        _check_open(enclave, release)
        return
    levels = LEVELS if ceiling.level in LEVELS else (ceiling.level,)
    reason = marking.beyond(ceiling, levels)
    if reason is not None:
        raise MarkingError(
            f"the marking {reason} of enclave {enclave}",
            expected=str(ceiling),
            found=str(marking),
            hint=f"nothing was made; if {enclave} may hold more, enrol it again with another --ceiling",
        )


def check_several(release: Release, several: Sequence[str]) -> None:
    """Check that one bundle of a release may be for several enclaves (SPEC L4.23).

    Raises:
        UsageError: one is named twice, or there are too many.
        MarkingError: the release has what was taken over from an enclave: it goes to one enclave at a time.
    """
    if len(set(several)) != len(several) or not 2 <= len(several) <= MAX_PORTIONS:
        raise UsageError(
            "not the names of several enclaves",
            expected=f"2 to {MAX_PORTIONS}, each once",
            found=", ".join(several),
            hint="name each enclave with one --for: see `airlift low list`",
        )
    if SEVERAL in several:
        raise UsageError(f"a bundle for several enclaves cannot name one that is called {SEVERAL!r}")
    taken = addressed_only(release)
    if taken:
        raise MarkingError(
            f"release {release.label} has what was taken over from an enclave: component {taken[0]}",
            expected="a bundle for one enclave alone",
            found=f"one for {', '.join(several)}",
            hint=f"bundle for each apart: `airlift low bundle {release.label} --for {several[0]}`",
        )


def addressed_only(release: Release) -> tuple[str, ...]:
    """Return the names of what was taken over from an enclave: where it is, the release is for one enclave alone."""
    return tuple(c.name for c in release.components if c.source.get("kind") == sources.ENCLAVE)


def _check_open(enclave: str | None, release: Release) -> None:
    """Check that a release may go where nobody knows what may be held there."""
    taken = addressed_only(release)
    if not taken:
        return
    name = "ENCLAVE" if enclave is None else enclave
    enrol = f"airlift low enrol {name} --ledger-key PUB --ceiling '{release.marking}'"
    raise MarkingError(
        f"release {release.label} has what was taken over from an enclave: component {taken[0]}",
        expected="one enclave that it is for, with a ceiling that the depot knows",
        found="no enclave" if enclave is None else f"enclave {enclave}, of which no ceiling is known",
        hint=f"say --for ENCLAVE; what it may hold is said with `{enrol}`",
    )


def names(depot: Depot) -> tuple[str, ...]:
    """Return the names of all enrolled enclaves, sorted."""
    with files.reading(depot.enclaves):
        return tuple(
            sorted(path.stem for path in depot.enclaves.glob("*.json") if ENCLAVE_NAME.match(path.stem))
        )


def load(depot: Depot, enclave: str) -> EnclaveRecord:
    """Return the record of an enclave.

    Raises:
        NotHeldError: it was never enrolled.
        MalformedError: the file is damaged.
    """
    path = depot.enclaves / f"{check_name(enclave)}.json"
    if not path.exists():
        raise NotHeldError(
            f"enclave {enclave} is not enrolled", hint=f"`airlift low enrol {enclave} --ledger-key PUB`"
        )
    return parse(files.read_bounded(path, MAX_BYTES), f"enclaves/{enclave}.json")


def parse(data: bytes, what: str) -> EnclaveRecord:
    """Parse the record of an enclave.

    Raises:
        MalformedError: it is not one.
        FormatTooNewError: a newer airlift wrote it.
    """
    document = strict.parse(data, limit=MAX_BYTES, what=what)
    more = strict.member(document, "airlift", int, what) == WITH_RETURNS
    keys = _KEYS | _NEW_KEYS if more else _KEYS
    document = fields.check_header(document, "depot-enclave", keys, what, newest=WITH_RETURNS)
    acknowledged = strict.member(document, "acknowledged", list, what)
    varied = [item for item in acknowledged if isinstance(item, dict) and "variants" in item]
    if more and not (_NEW_KEYS & set(document) or varied):
        raise MalformedError(f"{what} states a format that nothing in it needs")
    return EnclaveRecord(
        fields.name(document, "enclave", what, ENCLAVE_NAME),
        fields.time(document, "enrolled", what),
        strict.member(document, "ledger_key", str, what),
        fields.digest(document, "fingerprint", what, bits=384),
        tuple(_acknowledged(item, what, more=more) for item in acknowledged),
        _newest(document, what) if "newest" in document else None,
        _word(document, what) if "word" in document else None,
        Marking.from_json(document["ceiling"], what) if "ceiling" in document else None,
        _rules(document, what) if "variants" in document else (),
    )


def save(depot: Depot, record: EnclaveRecord) -> None:
    """Write the record of an enclave."""
    files.write_durable(depot.enclaves / f"{record.enclave}.json", format(record), mode=0o644)


def format(record: EnclaveRecord) -> bytes:  # noqa: A001 - the pair of parse, as everywhere
    """Return the canonical bytes of the record of an enclave."""
    more = _returned(record)
    newest = bool(more) or any(item.variants is not None for item in record.acknowledged)
    document = {
        "airlift": WITH_RETURNS if newest else fields.FORMAT,
        "type": "depot-enclave",
        "enclave": record.enclave,
        "enrolled": record.enrolled,
        "ledger_key": record.ledger_key,
        "fingerprint": record.fingerprint,
        "acknowledged": [
            {
                "release": item.release,
                "sequence": item.sequence,
                "time": item.time,
                "known_by": item.known_by,
                **({} if item.variants is None else {"variants": list(item.variants)}),
            }
            for item in record.acknowledged
        ],
        **more,
    }
    return strict.format(document)


def newest_acknowledged(depot: Depot, enclave: str) -> Acknowledged | None:
    """Return the newest release of this depot that an enclave acknowledged.

    None if the enclave is not registered, or acknowledged no release that this depot has.
    """
    if check_name(enclave) not in names(depot):
        return None
    held = {reference.digest for reference in depot.releases()}
    return next((item for item in reversed(load(depot, enclave).acknowledged) if item.release in held), None)


def counter(depot: Depot) -> int:
    """Return up to which number, as far as enclaves told, no bundle may have one any more; 0 if none did."""
    found = [load(depot, enclave).newest for enclave in names(depot)]
    return max((newest.counter for newest in found if newest is not None), default=0)


def _returned(record: EnclaveRecord) -> dict[str, Any]:
    """Return the members that a record has only if there is something to say: what came back, and its ceiling."""
    newest, word = record.newest, record.word
    found: dict[str, Any] = {}
    if newest is not None:
        found["newest"] = {
            "checkpoint": newest.checkpoint,
            "receipt": newest.receipt,
            "sequence": newest.sequence,
            "counter": newest.counter,
        }
    if word is not None:
        found["word"] = {"size": word.size, "root": word.root}
    if record.ceiling is not None:
        found["ceiling"] = record.ceiling.to_json()
    if record.variants:
        found["variants"] = [rule.to_json() for rule in record.variants]
    return found


def _rules(document: Mapping[str, Any], what: str) -> tuple[Rule, ...]:
    listed = strict.member(document, "variants", list, what)
    if not 1 <= len(listed) <= MAX_RULES:
        raise MalformedError(f"{what}: too few rules of variants, or too many", expected=f"1 to {MAX_RULES}")
    return tuple(rule_from_json(item, f"{what}: variants") for item in listed)


def _newest(document: Mapping[str, Any], what: str) -> Newest:
    newest = strict.only(strict.member(document, "newest", dict, what), _NEWEST, what)
    note = strict.member(newest, "checkpoint", str, what)
    if len(note) > MAX_NOTE:
        raise MalformedError(f"{what} has a checkpoint that is too long")
    return Newest(
        note,
        fields.count(newest, "receipt", what),
        fields.count(newest, "sequence", what, most=MAX_SEQUENCE),
        fields.count(newest, "counter", what, most=MAX_SEQUENCE),
    )


def _word(document: Mapping[str, Any], what: str) -> Word:
    word = strict.only(strict.member(document, "word", dict, what), frozenset({"size", "root"}), what)
    return Word(fields.count(word, "size", what), fields.digest(word, "root", what, bits=4 * START_DIGITS))


def _acknowledged(document: object, what: str, *, more: bool) -> Acknowledged:
    varied = more and isinstance(document, dict) and "variants" in document
    entry = strict.only(document, _ACKNOWLEDGED | ({"variants"} if varied else set()), what)
    known_by = strict.member(entry, "known_by", str, what)
    if known_by not in KNOWN_BY:
        raise MalformedError(
            f"{what}: 'known_by' is unknown", expected=" or ".join(KNOWN_BY), found=ascii(known_by[:40])
        )
    return Acknowledged(
        fields.digest(entry, "release", what),
        fields.count(entry, "sequence", what),
        fields.time(entry, "time", what),
        known_by,
        fields.names(entry, "variants", what, COMPONENT_NAME) if varied else None,
    )
