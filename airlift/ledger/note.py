"""Signed notes as in C2SP signed-note: a text and the lines that sign it (SPEC 9.3).

    airlift/alpha
    2
    <root, base64>

    — airlift/alpha <base64 of key id || signature>

The text ends in a newline; the last empty line separates it from the signature lines: em dash, space, key name,
space, base64, newline. The key id is four bytes:

    SHA-256(key name || 0x0A || 0xff || identifier || DER SubjectPublicKeyInfo)[:4]

0xff marks a signature type without an assigned byte; ``identifier`` is ``airlift-ml-dsa-87`` (pure ML-DSA-87, empty
context, over the text) or ``airlift-ecdsa-p384`` (ECDSA P-384 with SHA-384, DER, over the text). The key id is only a
hint: lines by keys that the reader does not know are carried along and ignored.
"""

import base64
import hashlib
from dataclasses import dataclass, field

from airlift.errors import MalformedError, SignatureError
from airlift.trust.keys.public import PublicKey, Signer

MAX_BYTES = 256 * 1024
MAX_SIGNATURES = 32
MAX_NAME_BYTES = 255
MAX_SIGNATURE_BYTES = 8192
KEY_ID_BYTES = 4

_TYPE = b"\xff"
_DASH = "— "


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: the key's name, its 4-byte id, and the signature over the note's text."""

    name: str
    key_id: bytes
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, and at least one signature line; nothing of it is verified yet."""

    text: str
    signatures: tuple[Signature, ...]


def key_id(name: str, key: PublicKey) -> bytes:
    """Return the 4-byte id of ``key`` under ``name``."""
    prefix = name.encode() + b"\n" + _TYPE + b"airlift-" + key.scheme.encode()
    return hashlib.sha256(prefix + key.spki).digest()[:KEY_ID_BYTES]


def format(note: Note) -> bytes:  # noqa: A001 - parse and format are the pair of words used for every format here
    """Return the bytes of a note.

    Raises:
        MalformedError: a text, a name or a number of lines that no note may have.
    """
    _check_text(note.text)
    if not 1 <= len(note.signatures) <= MAX_SIGNATURES:
        raise MalformedError("a note has no signature, or too many", expected=f"1 to {MAX_SIGNATURES}")
    lines = [_format_line(signature) for signature in note.signatures]
    data = (note.text + "\n" + "".join(lines)).encode()
    if len(data) > MAX_BYTES:
        raise MalformedError(
            "a note is too long", expected=f"at most {MAX_BYTES} bytes", found=f"{len(data)} bytes"
        )
    return data


def parse(data: bytes, what: str = "note") -> Note:
    """Parse a note of at most :data:`MAX_BYTES`; nothing is verified.

    Raises:
        MalformedError: it is no note, or not the one spelling that :func:`format` writes.
    """
    if len(data) > MAX_BYTES:
        raise MalformedError(
            f"{what} is too long", expected=f"at most {MAX_BYTES} bytes", found=f"{len(data)} bytes"
        )
    try:
        text, separator, tail = data.decode().rpartition("\n\n")
    except UnicodeDecodeError as error:
        raise MalformedError(f"{what} is not UTF-8") from error
    lines = tail.split("\n")
    if not separator or lines.pop() != "":
        raise MalformedError(f"{what} has no signature lines")
    if len(lines) > MAX_SIGNATURES:
        raise MalformedError(f"{what} has too many signatures", expected=f"at most {MAX_SIGNATURES}")
    note = Note(text + "\n", tuple(_parse_line(line, what) for line in lines))
    if format(note) != data:
        raise MalformedError(f"{what} is not in canonical form")
    return note


def sign(text: str, name: str, signer: Signer) -> Note:
    """Return ``text`` signed under ``name``."""
    return add(Note(text, ()), name, signer)


def add(note: Note, name: str, signer: Signer) -> Note:
    """Return the note with one more signature line."""
    _check_text(note.text)
    line = Signature(name, key_id(name, signer.public), signer.sign(note.text.encode()))
    return Note(note.text, (*note.signatures, line))


def verify(note: Note, name: str, key: PublicKey, what: str = "note") -> None:
    """Verify every signature line of ``key`` under ``name``; there must be one. Other lines are ignored.

    Raises:
        SignatureError: the key did not sign, or one of its lines does not verify.
    """
    wanted = key_id(name, key)
    lines = [line for line in note.signatures if line.name == name and line.key_id == wanted]
    if not lines:
        raise SignatureError(
            f"{what} is not signed by the expected key", expected=f"{name} {key.fingerprint[:16]}"
        )
    for line in lines:
        key.verify(line.value, note.text.encode())


def signed_by(note: Note, key: PublicKey) -> tuple[str, ...]:
    """Return the names under which ``key`` signed; each of its lines is verified.

    Raises:
        SignatureError: a line that claims this key does not verify.
    """
    names = dict.fromkeys(line.name for line in note.signatures if line.key_id == key_id(line.name, key))
    for name in names:
        verify(note, name, key)
    return tuple(names)


# -- inside --------------------------------------------------------------------------------------------------------


def _check_text(text: str) -> None:
    if not text.endswith("\n") or text.startswith("\n") or any(c < " " and c != "\n" for c in text):
        raise MalformedError("a note's text is empty, unfinished or has control characters")


def _check_name(name: str) -> None:
    if (
        not name
        or len(name.encode()) > MAX_NAME_BYTES
        or "+" in name
        or any(c < "!" or c.isspace() for c in name)
    ):
        raise MalformedError("a key name is empty, too long, or has spaces or '+'", found=ascii(name[:80]))


def _format_line(signature: Signature) -> str:
    _check_name(signature.name)
    if len(signature.key_id) != KEY_ID_BYTES or not 1 <= len(signature.value) <= MAX_SIGNATURE_BYTES:
        raise MalformedError("a signature line has the wrong length")
    return f"{_DASH}{signature.name} {base64.b64encode(signature.key_id + signature.value).decode()}\n"


def _parse_line(line: str, what: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise MalformedError(f"{what} has a signature line that is not base64") from error
    if not line.startswith(_DASH) or not space:
        raise MalformedError(f"{what} has a line that is no signature line")
    return Signature(name, raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:])
