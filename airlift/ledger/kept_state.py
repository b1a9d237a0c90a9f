"""The state as of a size, signed and kept beside the ledger, so that no command folds every entry (SPEC 9.8).

A note signed by the ledger's key, then one line of JSON::

    airlift/alpha state 1
    <size>
    <root of the first size entries, base64>
    <SHA-384 of the line of JSON, base64>

    — airlift/alpha <signature>
    {"active":...,"bundles":[...],...}

What is read is believed if the ledger's key signed it and the stored nodes give that root at that size; then only
later entries are folded. Anything else, a file of another format or one that is missing included, is as if there were
none: the file can make a command faster, never wrong. Without the signature whoever can write here could choose what
the enclave believes of itself, which the ledger's checkpoint does not let them.
"""

import base64
import hashlib
import json
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from airlift import files, strict
from airlift.errors import AirliftError, LedgerError, MalformedError, StorageError, UncheckedError
from airlift.ledger import note
from airlift.ledger.entries.setup import Enroll
from airlift.ledger.entries.shape import Trust
from airlift.ledger.log import Log
from airlift.ledger.state import NOTHING, Committed, State, fold
from airlift.trust.keys.public import Signer

FORMAT = 1
STEP = 256
"""How many entries are folded again and again before the state is kept anew: 10 ms of work."""
MAX_BYTES = 64 << 20

_PLAIN = ("size", "enclave", "active", "previous", "policy")


def state(log: Log, path: Path) -> State:
    """Return the state that all entries of a ledger add up to, folding only those after the kept state."""
    begun = _believed(log, path)
    return fold(log.entries(begun.size), begun)


def keep(log: Log, path: Path, signer: Signer) -> State:
    """Return the same, after keeping it durably if more than STEP entries had to be folded.

    A disk that is full, or a key that is not the ledger's, is no reason to fail: nothing is kept then.
    """
    begun = _believed(log, path)
    found = fold(log.entries(begun.size), begun)
    if found.size - begun.size > STEP and signer.public == log.public:
        with suppress(StorageError, UncheckedError):
            files.write_durable(path, format(found, log.root(found.size), log.origin, signer))
    return found


def check(log: Log, path: Path) -> None:
    """Hold the kept state against the fold of the entries that it stands for; one that is not believed says nothing.

    Raises:
        LedgerError: they differ.
    """
    kept = _believed(log, path)
    if kept != fold(log.entries(0, kept.size)):
        raise LedgerError(
            f"{path} is not what the first {kept.size} entries add up to",
            hint="remove that file: it is derived from the ledger",
        )


def format(state: State, root: bytes, origin: str, signer: Signer) -> bytes:  # noqa: A001 - parse and format
    """Return the file that keeps a state; ``root`` (48 bytes) is that of its entries."""
    line = encode(state)
    text = _text(origin, state.size, root, line)
    return note.format(note.sign(text, origin, signer)) + line


def parse(data: bytes, log: Log) -> State:
    """Return the state in a file that the key of a ledger signed and that fits its entries.

    Raises:
        AirliftError: it is none.
    """
    head, brace, rest = data.partition(b"\n{")
    signed = note.parse(head + b"\n", "kept state")
    note.verify(signed, log.origin, log.public, "kept state")
    size = signed.text.split("\n")[1]
    if not size.isdecimal() or signed.text != _text(
        log.origin, int(size), log.root(int(size)), brace[1:] + rest
    ):
        raise LedgerError("a kept state is not of this ledger, or has another digest")
    found = decode(brace[1:] + rest, log)
    if found.size != int(size):
        raise MalformedError("a kept state says another size than its note")
    return found


def encode(state: State) -> bytes:
    """Return a state as one line of canonical JSON; open intents by their index."""
    keys = {
        signers: place for place, signers in enumerate(dict.fromkeys(b.bundler_keys for b in state.bundles))
    }
    document: dict[str, Any] = {name: getattr(state, name) for name in _PLAIN}
    return strict.format(
        document
        | {
            "installed": list(state.installed),
            "open": [entry.index for entry in state.open],
            "enrolment": state.enrolment.format() if state.enrolment else None,
            "trust": state.trust.format() if state.trust else None,
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


def decode(line: bytes, log: Log) -> State:
    """Return the state of a line of JSON that is known to be signed; open intents are read from the ledger.

    Raises:
        MalformedError: it does not say what this airlift says there.
    """
    found, intents = _decoded(line)
    return replace(found, open=tuple(map(log.entry, intents)))


@lru_cache(maxsize=1)
def _decoded(line: bytes) -> tuple[State, tuple[int, ...]]:
    """Return what a line says, and the indices of open intents; a command reads the same line several times."""
    try:
        document = json.loads(line)
        keys = [tuple(signers) for signers in document["keys"]]
        bundles = [
            Committed(bundle, manifest, sequence, issued, release, overtaken, keys[place], index, checked)
            for (
                bundle, manifest, sequence, issued, release, overtaken, place, index, checked
            ) in document["bundles"]
        ]  # fmt: skip
        found = State(
            installed=tuple(document["installed"]),
            bundles=tuple(bundles),
            enrolment=Enroll.parse(document["enrolment"], "enrolment") if document["enrolment"] else None,
            trust=Trust.parse(document["trust"], "trust") if document["trust"] else None,
            **{name: document[name] for name in _PLAIN},
        )
        return found, tuple(document["open"])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise MalformedError("a kept state is not in its format", found=type(error).__name__) from error


def _believed(log: Log, path: Path) -> State:
    """Return the kept state, or that of no entries if there is none to be believed."""
    try:
        return parse(files.read_bounded(path, MAX_BYTES), log)
    except AirliftError:
        return NOTHING


def _text(origin: str, size: int, root: bytes, line: bytes) -> str:
    digests = (base64.b64encode(digest).decode() for digest in (root, hashlib.sha384(line).digest()))
    return "\n".join([f"{origin} state {FORMAT}", str(size), *digests, ""])
