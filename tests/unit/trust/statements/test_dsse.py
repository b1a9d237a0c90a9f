"""DSSE envelopes: what is signed, who signed, and what no envelope may be."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift.errors import AirliftError, MalformedError, SignatureError
from airlift.trust.statements import dsse
from airlift.trust.statements.dsse import Envelope, Signature
from tests.support import keys
from tests.support.envelopes import require_signature

TYPE = "application/vnd.in-toto+json"
ONE, TWO = (keys.signer(name, "ecdsa-p384") for name in ("one", "two"))
SIGNED = dsse.sign(TYPE, b'{"a":1}', ONE)


def document(**changes: Any) -> bytes:
    return json.dumps({**json.loads(dsse.format(SIGNED)), **changes}).encode()


def test_the_encoding_is_that_of_the_protocol() -> None:
    """The test vector of the DSSE protocol."""
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@pytest.mark.parametrize("scheme", ["ecdsa-p384", "ml-dsa-87"])
def test_signed_and_read_back(scheme: str) -> None:
    signer = keys.signer("three", scheme)
    envelope = dsse.add_signature(dsse.sign(TYPE, b"payload", signer), ONE)
    assert dsse.parse(dsse.format(envelope)) == envelope
    assert set(dsse.signed_by(envelope, [ONE.public, TWO.public, signer.public])) == {
        signer.public,
        ONE.public,
    }
    require_signature(envelope, signer.public)
    with pytest.raises(SignatureError):
        require_signature(envelope, TWO.public)


def test_the_key_id_is_a_hint() -> None:
    (line,) = SIGNED.signatures
    for keyid in ("", "scanner 7"):
        assert dsse.signed_by(Envelope(TYPE, SIGNED.payload, (Signature(keyid, line.value),)), [ONE.public])
    renamed = Envelope(TYPE, SIGNED.payload, (Signature(TWO.public.key_id, line.value),))
    with pytest.raises(SignatureError):
        dsse.signed_by(renamed, [ONE.public, TWO.public])
    assert dsse.signed_by(renamed, [ONE.public]) == (ONE.public,)


@pytest.mark.parametrize("hint", [{}, {"keyid": ""}, {"keyid": None}])
def test_no_key_id_is_no_hint(hint: dict[str, Any]) -> None:
    """Model Signing 4.1: a verifier accepts a key id that is missing, empty or null; null used to be refused."""
    (line,) = json.loads(dsse.format(SIGNED))["signatures"]
    found = dsse.parse(document(signatures=[{"sig": line["sig"], **hint}]))
    assert found.signatures[0].keyid == ""
    require_signature(found, ONE.public)
    with pytest.raises(SignatureError):
        require_signature(found, TWO.public)


@pytest.mark.parametrize("change", [{"payload_type": "text/plain"}, {"payload": b'{"a":2}'}])
def test_type_and_payload_are_signed(change: dict[str, Any]) -> None:
    fields = {"payload_type": TYPE, "payload": SIGNED.payload, "signatures": SIGNED.signatures, **change}
    with pytest.raises(SignatureError):
        require_signature(Envelope(**fields), ONE.public)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        document(extra=1),
        document(signatures=[]),
        document(signatures=[{"keyid": "a", "sig": "AAAA"}] * 17),
        document(signatures=[{"keyid": "a", "sig": ""}]),
        document(signatures=[{"keyid": "a", "sig": "AA=="[:2]}]),
        document(signatures=[{"keyid": "a\n", "sig": "AAAA"}]),
        document(signatures=[{"keyid": 0, "sig": "AAAA"}]),
        document(signatures=[{"keyid": False, "sig": "AAAA"}]),
        document(signatures=[{"keyid": "a", "sig": "AAAA", "cert": ""}]),
        document(signatures=[{"keyid": "a", "sig": base64.b64encode(b"x" * 8193).decode()}]),
        document(payload="A-_="),
        document(payload="AB=="),
        document(payloadType=""),
        document(payloadType="é"),
        document(payloadType="x" * 257),
    ],
)
def test_what_is_no_envelope(data: bytes) -> None:
    with pytest.raises(MalformedError):
        dsse.parse(data)


def test_length_is_bounded() -> None:
    with pytest.raises(MalformedError):
        dsse.parse(dsse.format(SIGNED), limit=10)


@given(st.integers(0, len(dsse.format(SIGNED)) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_found(place: int, flip: int) -> None:
    data = bytearray(dsse.format(SIGNED))
    data[place] ^= flip
    try:
        found = dsse.parse(bytes(data))
        require_signature(found, ONE.public)
    except AirliftError:
        return
    assert (found.payload_type, found.payload) == (TYPE, SIGNED.payload)  # only the hint may differ
