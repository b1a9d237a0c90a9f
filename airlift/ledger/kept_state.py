"""The state as of a size, signed and kept beside the ledger, so that no command folds every entry (SPEC 9.8).

A note signed by the ledger's key, then one line of JSON::

    airlift/alpha state 3
    <size>
    <root of the first size entries, base64>
    <SHA-384 of the line of JSON, base64>

    — airlift/alpha <signature>
    {"active":...,"bundles":[...],...}

What is read is believed if the ledger's key signed it and the stored nodes give that root at that size; then only
later entries are folded. Anything else, a file of another format or one that is missing included, counts as no file:
it can make a command faster, never wrong. The signature is needed because the entries are signed, by checkpoints:
without it, whoever can write this file could change the state that commands act on.
"""

import base64
import hashlib
import json
import re
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import NoneType
from typing import Any

from airlift import files, strict
from airlift.errors import AirliftError, LedgerError, MalformedError, StorageError, UncheckedError
from airlift.ledger import note
from airlift.ledger.entries import shape
from airlift.ledger.entries.administration import Enroll
from airlift.ledger.entries.exports import Export
from airlift.ledger.entries.imports import SHA256, SHA512
from airlift.ledger.entries.kinds import INTENTS
from airlift.ledger.entries.shape import Trust, check_digest
from airlift.ledger.entry import Entry, check_time
from airlift.ledger.log import Log
from airlift.ledger.state import NOTHING, Committed, HeldVariants, State, fold_entries
from airlift.ledger.tree import MAX_SIZE
from airlift.trust.keys.public import Signer

FORMAT = 3
STEP = 256
"""After how many further entries the file is written again; until then every command folds these: 10 ms of work."""
MAX_BYTES = 64 << 20

_WHAT = "kept state"
_PLAIN = ("size", "enclave", "active", "previous", "policy", "moment")
_SIZE = re.compile(r"[^\n]*\n(0|[1-9][0-9]{0,15})\n[^\n]*\n[^\n]*\n")
_FILE_DIGESTS = frozenset({None, SHA512, SHA256})
_ROWS = frozenset(
    (str, str, int, str, release, bool, int, int, checked)
    for release in (str, NoneType)
    for checked in (str, NoneType)
)
"""The types of what stands for a bundle, in order."""


def load(log: Log, path: Path) -> State:
    """Return the state that all entries of a ledger add up to, folding only those after the kept state."""
    begun = _believed(log, path)
    return fold_entries(log.entries(begun.size), begun)


def keep(log: Log, path: Path, signer: Signer) -> State:
    """Return the same as :func:`load`, and write the file durably if more than STEP entries had to be folded.

    A disk that is full, or a key that is not the ledger's, is no reason to fail: nothing is kept then.
    """
    begun = _believed(log, path)
    found = fold_entries(log.entries(begun.size), begun)
    if found.size - begun.size > STEP and signer.public == log.public:
        with suppress(StorageError, UncheckedError):
            files.write_durable(path, format(found, log.root(found.size), log.origin, signer))
    return found


def check(log: Log, path: Path) -> None:
    """Compare the kept state with the fold of the entries that it covers; a file that is not believed passes.

    Raises:
        LedgerError: they differ.
    """
    kept = _believed(log, path)
    if kept != fold_entries(log.entries(0, kept.size)):
        raise LedgerError(
            f"{path} is not what the first {kept.size} entries add up to",
            hint="remove that file: it is derived from the ledger",
        )


def format(state: State, root: bytes, origin: str, signer: Signer) -> bytes:  # noqa: A001 - parse and format
    """Return the file that keeps a state; ``root`` (48 bytes) is that of its entries."""
    line = format_line(state)
    text = _text(origin, state.size, root, line)
    return note.format(note.sign(text, origin, signer)) + line


def parse(data: bytes, log: Log) -> State:
    """Return the state in a file that the key of a ledger signed and that fits its entries.

    Raises:
        AirliftError: it is none, whatever it holds.
    """
    head, brace, rest = data.partition(b"\n{")
    signed, line = note.parse(head + b"\n", _WHAT), brace[1:] + rest
    note.verify(signed, log.origin, log.public, _WHAT)
    said = _SIZE.fullmatch(signed.text)
    size = int(said[1]) if said is not None else 0
    if said is None or signed.text != _text(log.origin, size, log.root(size), line):
        raise LedgerError("a kept state is not of this ledger, or has another digest")
    found = parse_line(line, log)
    indices = [*(bundle.index for bundle in found.bundles), *(entry.index for entry in found.open)]
    if found.size != size or max(indices, default=-1) >= size:
        raise MalformedError("a kept state says another size than its note, or names entries beyond it")
    return found


def format_line(state: State) -> bytes:
    """Return a state as one line of canonical JSON; open intents by their index."""
    keys = {
        signers: place for place, signers in enumerate(dict.fromkeys(b.bundler_keys for b in state.bundles))
    }
    document: dict[str, Any] = {name: getattr(state, name) for name in _PLAIN}
    if state.variants:
        document["variants"] = {
            item.release: {"held": list(item.held), "laid_out": [list(one) for one in item.laid_out]}
            for item in state.variants
        }
    if state.chosen:
        document["chosen"] = list(state.chosen)
    return strict.format(
        document
        | {
            "installed": list(state.installed),
            "open": [entry.index for entry in state.open],
            "enrolment": state.enrolment.format() if state.enrolment else None,
            "trust": state.trust.format() if state.trust else None,
            "floors": dict(state.floors),
            "revocations": list(state.revocations),
            "follows": [export.format() for export in state.follows],
            "keys": [list(signers) for signers in keys],
            "bundles": [
                [
                    b.bundle,
                    b.manifest,
                    b.sequence,
                    b.issued,
                    b.release,
                    b.overtaken,
                    keys[b.bundler_keys],
                    b.index,
                    b.file_digest,
                ]
                for b in state.bundles
            ],
        }
    )


def parse_line(line: bytes, log: Log) -> State:
    """Return the state of a line of JSON that is known to be signed; open intents are read from the ledger.

    Raises:
        MalformedError: it has another form than SPEC 9.8 says, or names an open intent that is none.
        LedgerError: it names an entry that is not there.
    """
    found, intents = _parsed_line(line)
    return replace(found, open=tuple(_intent(log, index) for index in intents))


def _intent(log: Log, index: int) -> Entry:
    entry = log.entry(index)
    if entry.type not in INTENTS:
        raise MalformedError(f"{_WHAT}: 'open' names an entry that opens nothing", found=entry.type)
    return entry


@lru_cache(maxsize=1)
def _parsed_line(line: bytes) -> tuple[State, tuple[int, ...]]:
    """Return what a line says, and the indices of open intents; a command reads the same line several times."""
    try:
        document = json.loads(line)  # not strict.parse: ten thousand bundles would take 0.2 s
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{_WHAT} is not JSON", found=type(error).__name__) from error
    keys = shape.items(document, "keys", _signers, _WHAT)
    installed, rows = shape.texts(document, "installed", _WHAT), _rows(document)
    lists = shape.texts(document, "revocations", _WHAT)
    for digest in (
        {*lists} | {row[1] for row in rows} | {row[4] for row in rows if row[4] is not None} | set(installed)
    ):
        check_digest(digest, "bundles", _WHAT)
    for moment in {row[3] for row in rows}:
        check_time(moment)
    found = State(
        size=_number(strict.member(document, "size", int, _WHAT)),
        enclave=shape.optional(document, "enclave", _word, _WHAT),
        active=shape.optional(document, "active", _digest, _WHAT),
        previous=shape.optional(document, "previous", _digest, _WHAT),
        policy=shape.optional(document, "policy", _digest, _WHAT),
        moment=shape.optional(document, "moment", lambda value, what: check_time(_word(value, what)), _WHAT),
        installed=installed,
        bundles=tuple([_bundle(row, keys) for row in rows]),
        floors=tuple(sorted(shape.table(document, "floors", str, _WHAT).items())),
        revocations=lists,
        follows=shape.items(document, "follows", Export.parse, _WHAT),
        enrolment=shape.optional(document, "enrolment", Enroll.parse, _WHAT),
        trust=shape.optional(document, "trust", Trust.parse, _WHAT),
        variants=_variants(document, installed),
        chosen=shape.texts(document, "chosen", _WHAT, missing=True),
    )
    return found, shape.items(document, "open", lambda index, _: _number(index), _WHAT)


def _variants(document: Any, installed: tuple[str, ...]) -> tuple[HeldVariants, ...]:
    """Return what is held and laid out of the ``installed`` releases that have variants, in their order."""
    said = shape.table(document, "variants", dict, _WHAT, missing=True)
    if not said.keys() <= set(installed):
        raise MalformedError(f"{_WHAT}: 'variants' names what is not installed")
    return tuple(
        HeldVariants(
            release,
            shape.texts(said[release], "held", _WHAT),
            shape.items(said[release], "laid_out", _signers, _WHAT),
        )
        for release in installed
        if release in said
    )


def _rows(document: Any) -> list[list[Any]]:
    """Return what stands for the bundles, each a list of values of the right types."""
    rows: list[list[Any]] = strict.member(document, "bundles", list, _WHAT)
    if any(type(row) is not list or tuple(map(type, row)) not in _ROWS for row in rows):
        raise MalformedError(f"{_WHAT}: 'bundles' holds what is no bundle")
    return rows


def _bundle(row: list[Any], keys: tuple[tuple[str, ...], ...]) -> Committed:
    """Return the bundle of a row; its digests and its time were checked, each value once for all rows."""
    bundle, manifest, sequence, issued, release, overtaken, place, index, checked = row
    if not (0 <= sequence <= MAX_SIZE and 0 <= index <= MAX_SIZE and 0 <= place < len(keys)):
        raise MalformedError(f"{_WHAT}: 'bundles' has a number that is out of range")
    if checked not in _FILE_DIGESTS:
        raise MalformedError(f"{_WHAT}: 'bundles' names a digest that files cannot be verified with")
    return Committed(bundle, manifest, sequence, issued, release, overtaken, keys[place], index, checked)


def _signers(value: Any, _what: str) -> tuple[str, ...]:
    if type(value) is not list or any(type(key) is not str for key in value):
        raise MalformedError(f"{_WHAT}: 'keys' holds what is no list of key ids")
    return tuple(value)


def _word(value: Any, what: str) -> str:
    if type(value) is not str:
        raise MalformedError(f"{what} must be a string")
    return value


def _digest(value: Any, what: str) -> str:
    return check_digest(value, what, _WHAT)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_SIZE:
        raise MalformedError(f"{_WHAT} has a number that is out of range")
    return value


def _believed(log: Log, path: Path) -> State:
    """Return the kept state, or that of no entries if there is none to be believed."""
    try:
        return parse(files.read_bounded(path, MAX_BYTES), log)
    except AirliftError:
        return NOTHING


def _text(origin: str, size: int, root: bytes, line: bytes) -> str:
    digests = (base64.b64encode(digest).decode() for digest in (root, hashlib.sha384(line).digest()))
    return "\n".join([f"{origin} state {FORMAT}", str(size), *digests, ""])
