"""Checkpoints as in C2SP tlog-checkpoint: a note of three lines, origin, size and root (SPEC 9.3).

The origin is ``airlift/<enclave name>`` and is also the name of the ledger's key in its signature line. Extension
lines are not used and are refused. A witness adds a line of its own, over the same text, after it has checked that
the checkpoint is consistent with the last one it saw.
"""

import base64
import re
from dataclasses import dataclass

from airlift.errors import LedgerError, MalformedError
from airlift.ledger import note, tree
from airlift.trust.keys.public import PublicKey, Signer

ORIGIN_PREFIX = "airlift/"
_ORIGIN = re.compile(r"airlift/[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a signed checkpoint says: ``origin`` had ``size`` entries, whose Merkle root was ``root`` (48 bytes)."""

    origin: str
    size: int
    root: bytes


def origin_of(enclave: str) -> str:
    """Return the origin line of an enclave's ledger.

    Raises:
        MalformedError: the name is not 1 to 64 ASCII letters, digits, ``.``, ``_`` and ``-``.
    """
    return check_origin(ORIGIN_PREFIX + enclave)


def check_origin(origin: str) -> str:
    """Return ``origin`` if it is one.

    Raises:
        MalformedError: it is not.
    """
    if not _ORIGIN.fullmatch(origin):
        raise MalformedError("not the origin of a ledger", expected="airlift/NAME", found=ascii(origin[:80]))
    return origin


def format(checkpoint: Checkpoint) -> str:  # noqa: A001 - parse and format are the pair of words used here
    """Return the three lines that are signed."""
    check_origin(checkpoint.origin)
    if not 0 <= checkpoint.size <= tree.MAX_SIZE or len(checkpoint.root) != tree.DIGEST_BYTES:
        raise MalformedError("a checkpoint has a size or a root out of range")
    return f"{checkpoint.origin}\n{checkpoint.size}\n{base64.b64encode(checkpoint.root).decode()}\n"


def parse(text: str, what: str = "checkpoint") -> Checkpoint:
    """Parse the text of a checkpoint.

    Raises:
        MalformedError: it is not exactly the three lines that :func:`format` writes.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not _SIZE.fullmatch(lines[1]):
        raise MalformedError(f"{what} is not three lines of origin, size and root")
    try:
        root = base64.b64decode(lines[2])
    except ValueError as error:
        raise MalformedError(f"{what} has a root that is not base64") from error
    checkpoint = Checkpoint(lines[0], int(lines[1]), root)
    if format(checkpoint) != text:
        raise MalformedError(f"{what} is not in canonical form")
    return checkpoint


def sign(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """Return the checkpoint as a note signed by the ledger's key."""
    return note.format(note.sign(format(checkpoint), checkpoint.origin, signer))


def countersign(data: bytes, name: str, signer: Signer) -> bytes:
    """Return a checkpoint note with a witness's line; the caller has verified the note.

    Raises:
        LedgerError: this key has already signed under this name, or ``name`` is the ledger's own.
    """
    signed = note.parse(data, "checkpoint")
    if name == parse(signed.text).origin:
        raise LedgerError(
            "a witness cannot sign under the ledger's own name", hint="choose another witness name"
        )
    if name in note.signed_by(signed, signer.public):
        return data
    return note.format(note.add(signed, name, signer))


def verify(data: bytes, origin: str, key: PublicKey, what: str = "checkpoint") -> Checkpoint:
    """Verify a checkpoint note of the log ``origin`` signed by ``key``, then parse it.

    Raises:
        MalformedError: it is no checkpoint.
        SignatureError: it is not signed by ``key`` under the name ``origin``.
        LedgerError: it is a checkpoint of another log.
    """
    signed = note.parse(data, what)
    note.verify(signed, origin, key, what)
    checkpoint = parse(signed.text, what)
    if checkpoint.origin != origin:
        raise LedgerError(f"{what} is of another log", expected=origin, found=checkpoint.origin)
    return checkpoint
