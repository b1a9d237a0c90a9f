"""DSSE v1 envelopes: a typed payload and the signatures over it (SPEC 4.5; github.com/secure-systems-lab/dsse).

    {"payload": "<base64>", "payloadType": "application/vnd.in-toto+json", "signatures": [{"keyid": ..., "sig": ...}]}

Nothing is verified by parsing. The payload is read only by callers that know its digest or its signer.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from airlift import strict
from airlift.errors import MalformedError, SignatureError
from airlift.trust.keys.public import PublicKey, Signer

MAX_BYTES = 1 << 20
MAX_SIGNATURES = 16
MAX_SIGNATURE_BYTES = 8192
MAX_TEXT = 256

_KEYS = frozenset({"payload", "payloadType", "signatures"})


@dataclass(frozen=True, slots=True)
class Signature:
    """One line: the hint which key signed ("" for none), and the signature over the pre-authentication encoding."""

    keyid: str
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, its type, and at least one signature; nothing of it is verified yet."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding: what is signed (DSSE protocol, "Signature definition")."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def format(envelope: Envelope) -> bytes:  # noqa: A001 - parse and format are the pair of words used for every format here
    """Return the canonical bytes of an envelope."""
    return strict.format(
        {
            "payload": _encode(envelope.payload),
            "payloadType": envelope.payload_type,
            "signatures": [{"keyid": item.keyid, "sig": _encode(item.value)} for item in envelope.signatures],
        }
    )


def parse(data: bytes, *, limit: int = MAX_BYTES, what: str = "envelope") -> Envelope:
    """Parse an envelope of any spacing and at most ``limit`` bytes; nothing is verified.

    Raises:
        MalformedError: it is none, or breaks a limit of SPEC 4.5.
    """
    document = strict.only(strict.parse_any(data, limit=limit, what=what), _KEYS, what)
    lines = strict.member(document, "signatures", list, what)
    if not 1 <= len(lines) <= MAX_SIGNATURES:
        raise MalformedError(f"{what} has no signature, or too many", expected=f"1 to {MAX_SIGNATURES}")
    return Envelope(
        _text(document, "payloadType", what),
        _decode(document, "payload", what),
        tuple(_signature(line, what) for line in lines),
    )


def sign(payload_type: str, payload: bytes, signer: Signer) -> Envelope:
    """Return ``payload`` signed."""
    return add_signature(Envelope(payload_type, payload, ()), signer)


def add_signature(envelope: Envelope, signer: Signer) -> Envelope:
    """Return the envelope with one more signature."""
    value = signer.sign(pae(envelope.payload_type, envelope.payload))
    line = Signature(signer.public.key_id, value)
    return replace(envelope, signatures=(*envelope.signatures, line))


def signed_by(envelope: Envelope, keys: Iterable[PublicKey], what: str = "envelope") -> tuple[PublicKey, ...]:
    """Return those of ``keys`` that signed.

    Raises:
        SignatureError: a line gives the id of one of them and does not verify.
    """
    message, known = pae(envelope.payload_type, envelope.payload), {key.key_id: key for key in keys}
    return tuple(key for key in known.values() if _signed(envelope, key, known, message, what))


# -- inside --------------------------------------------------------------------------------------------------------


def _signed(
    envelope: Envelope, key: PublicKey, known: dict[str, PublicKey], message: bytes, what: str
) -> bool:
    found = False
    for line in envelope.signatures:
        if line.keyid != key.key_id and line.keyid in known:
            continue
        try:
            key.verify(line.value, message)
            found = True
        except SignatureError as error:
            if line.keyid == key.key_id:
                raise SignatureError(f"{what}: {error.message}") from error
    return found


def _signature(line: Any, what: str) -> Signature:
    strict.only(line, frozenset({"keyid", "sig"}), f"a signature of {what}")
    value = _decode(line, "sig", what)
    if not 1 <= len(value) <= MAX_SIGNATURE_BYTES:
        raise MalformedError(f"{what} has a signature of the wrong length")
    hint = "" if line.get("keyid") is None else _text(line, "keyid", what, least=0)
    return Signature(hint, value)


def _text(document: dict[str, Any], key: str, what: str, *, least: int = 1) -> str:
    value: str = strict.member(document, key, str, what)
    if not least <= len(value) <= MAX_TEXT or not (value.isascii() and value.isprintable()):
        raise MalformedError(f"{what}: {key!r} is not short printable ASCII")
    return value


def _decode(document: dict[str, Any], key: str, what: str) -> bytes:
    text: str = strict.member(document, key, str, what)
    try:
        value = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise MalformedError(f"{what}: {key!r} is not base64") from error
    if _encode(value) != text:
        raise MalformedError(f"{what}: {key!r} is not in the standard base64 spelling")
    return value


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
