"""DSSE envelopes beside those of securesystemslib, which in-toto and TUF use (SPEC 4.5).

With ECDSA P-384: to that library, ML-DSA is a scheme of TUF alone, and it signs something else (TAP 21).
"""

import json
from dataclasses import replace

import pytest
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer._crypto_signer import CryptoSigner
from securesystemslib.signer._key import SSlibKey

from airlift.errors import SignatureError
from airlift.trust.keys.file import generate
from airlift.trust.keys.public import ECDSA_P384, PublicKey
from airlift.trust.statements import dsse

TYPE = "application/vnd.in-toto+json"
PAYLOADS = [b"{}", b"", bytes(range(256)), '{"é": "\\u0000"}'.encode()]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_airlift_signs_verifies_there(payload: bytes) -> None:
    signer = generate(ECDSA_P384)
    key = SSlibKey.from_dict(signer.public.key_id, signer.public.tuf())
    document = json.loads(dsse.format(dsse.sign(TYPE, payload, signer)))
    envelope = Envelope.from_dict(document)
    assert set(envelope.verify([key], 1)) == {signer.public.key_id}
    envelope.payload += b" "
    with pytest.raises(VerificationError):
        envelope.verify([key], 1)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_is_signed_there_verifies_here(payload: bytes) -> None:
    signer = CryptoSigner.generate_ecdsa(scheme="ecdsa-sha2-nistp384")
    key = PublicKey.from_pem(signer.public_key.keyval["public"].encode())
    theirs = Envelope(payload, TYPE, {})
    theirs.sign(signer)
    envelope = dsse.parse(json.dumps(theirs.to_dict()).encode())
    assert (envelope.payload_type, envelope.payload) == (TYPE, payload)
    assert dsse.signed_by(envelope, [key]) == (key,)
    for changed in (replace(envelope, payload=payload + b" "), replace(envelope, payload_type=TYPE + "2")):
        with pytest.raises(SignatureError):
            dsse.signed_by(changed, [key])
