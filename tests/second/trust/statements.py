"""Attestations: DSSE envelopes around in-toto statements (4.5)."""

from collections.abc import Iterable
from typing import Any

from tests.second import strict
from tests.second.documents import fields
from tests.second.errors import Refused, demand
from tests.second.trust import keys
from tests.second.trust.keys import Key

LIMIT = 1 << 20
PAYLOAD_TYPE = "application/vnd.in-toto+json"


def check(data: bytes, about: set[str], known: Iterable[Key]) -> None:
    """Check an envelope that came along with a bundle (4.5-2, 4.5-7).

    Args:
        data: The envelope.
        about: SHA-512 of the manifests that it may be about.
        known: Keys whose signatures count.

    Raises:
        Refused: ``malformed``, or ``signature-invalid``.
    """
    envelope = strict.loads(data, LIMIT)
    fields.members(envelope, "payload payloadType signatures")
    demand(envelope["payloadType"] == PAYLOAD_TYPE, "an envelope of another type")
    payload = keys.decode_base64(envelope["payload"])
    lines = [_line(line) for line in fields.items(envelope["signatures"], 16, 1)]
    demand(about & _subjects(payload), "a statement about something else")
    message = encoding(PAYLOAD_TYPE, payload)
    for key in known:
        for key_id, signature in lines:
            if key_id == key.id and not key.signed(message, signature):
                raise Refused("signature-invalid", "a line that gives a key's id and does not verify")


def encoding(kind: str, payload: bytes) -> bytes:
    """Return what is signed (4.5-1)."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def _line(value: Any) -> tuple[str, bytes]:
    fields.members(value, "sig", "keyid")
    key_id = value.get("keyid") or ""
    demand(isinstance(key_id, str), "a key id that is no text")
    return key_id, keys.decode_base64(value["sig"])


def _subjects(payload: bytes) -> set[str]:
    statement = strict.loads(payload, LIMIT, floats=True)
    fields.members(statement, "_type subject predicateType predicate")
    demand(statement["_type"] == "https://in-toto.io/Statement/v1", "a statement of another type")
    kind = statement["predicateType"]
    demand(
        isinstance(kind, str) and 1 <= len(kind) <= 256 and kind.isascii() and kind.isprintable(), "a type"
    )
    demand(isinstance(statement["predicate"], dict), "a predicate that is no object")
    found = set()
    for subject in fields.items(statement["subject"], 64, 1):
        demand(isinstance(subject, dict) and isinstance(subject.get("digest"), dict), "a subject")
        found.add(str(subject["digest"].get("sha512")))
    return found
