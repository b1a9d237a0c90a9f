"""A vendor's signature over a folder, made here: what the ``model_signing`` command writes, without the command."""

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airlift.trust.statements import model_signing
from airlift.trust.statements.dsse import pae


@cache
def key(name: str = "vendor") -> ec.EllipticCurvePrivateKey:
    """Return the key that belongs to ``name`` in this session."""
    return ec.generate_private_key(ec.SECP256R1())


def public(name: str = "vendor") -> bytes:
    """Return its public half in PEM."""
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key(name).public_key().public_bytes(serialization.Encoding.PEM, spki)


def sign(files: Mapping[str, bytes], name: str = "vendor") -> bytes:
    """Return the signature file over these files."""
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in sorted(files.items())}
    whole = hashlib.sha256(b"".join(map(bytes.fromhex, digests.values()))).hexdigest()
    statement = {
        "_type": model_signing.STATEMENT_TYPE,
        "subject": [{"name": "model", "digest": {"sha256": whole}}],
        "predicateType": model_signing.PREDICATE_TYPE,
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "ignore_paths": ["model.sig"]},
            "resources": [
                {"name": path, "algorithm": "sha256", "digest": digest} for path, digest in digests.items()
            ],
        },
    }
    payload = json.dumps(statement).encode()
    value = key(name).sign(pae(model_signing.PAYLOAD_TYPE, payload), ec.ECDSA(hashes.SHA256()))
    line = {"keyid": "", "sig": base64.b64encode(value).decode()}
    document = {
        "mediaType": model_signing.MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": ""}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": model_signing.PAYLOAD_TYPE,
            "signatures": [line],
        },
    }
    return json.dumps(document).encode()
