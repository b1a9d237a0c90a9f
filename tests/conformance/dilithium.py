"""Checks and makes signed documents with dilithium-py; runs in an environment of its own, without airlift.

    python dilithium.py < QUESTIONS > ANSWERS

A question and its answer are a line of JSON each: ``{"verify": KIND, "key": PEM, "data": BASE64, "name": NAME}`` is
answered with true or false, and ``{"make": KIND, "seed": HEX, "data": BASE64, "name": NAME}`` with a key and what it
signed, ``{"key": PEM, "data": BASE64}``. A kind is a form in which airlift carries signatures: ``bare`` (signature,
then message), ``tuf`` (metadata), ``note`` (a checkpoint; ``name`` is the signer's) and ``dsse`` (``name`` is the
type). Each is read here from its own specification, and the public key from its DER by hand, so that no reading is
shared with airlift. Signatures are deterministic.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Callable
from typing import Any

from dilithium_py.ml_dsa import ML_DSA_87

# SEQUENCE { SEQUENCE { OID 2.16.840.1.101.3.4.3.19 }, BIT STRING } around 2,592 bytes (RFC 9881)
SPKI = bytes.fromhex("30820a32300b060960864801650304031303820a2100")
SIGNATURE_BYTES = 4627

Sign = Callable[[bytes], bytes]


def raw_key(pem: str) -> bytes:
    """Return the 2,592 bytes of a public key in PEM."""
    der = base64.b64decode("".join(pem.split("\n")[1:-2]))
    if not der.startswith(SPKI) or len(der) != len(SPKI) + 2592:
        raise ValueError("no SubjectPublicKeyInfo of ML-DSA-87")
    return der[len(SPKI) :]


def to_pem(raw: bytes) -> str:
    """Return a public key in PEM as RFC 7468 writes it."""
    text = base64.b64encode(SPKI + raw).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


def canonical(value: Any) -> str:
    """Return the canonical JSON of OLPC that TUF signs: only quotes and backslashes are escaped."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in sorted(value)) + "}"
    return json.dumps(value)


def tuf_message(signed: Any) -> bytes:
    """Return what a key of ML-DSA signs of TUF metadata (TAP 21)."""
    return b"tuf\x01" + hashlib.sha512(canonical(signed).encode()).digest()


def tuf_key_id(pem: str) -> str:
    """Return the key id of TUF: SHA-256 of the canonical key."""
    key = {"keytype": "ml-dsa", "scheme": "ml-dsa-87/1", "keyval": {"public": pem}}
    return hashlib.sha256(canonical(key).encode()).hexdigest()


def note_key_id(name: str, pem: str) -> bytes:
    """Return the four bytes that C2SP signed-note puts before a signature."""
    spki = SPKI + raw_key(pem)
    return hashlib.sha256(name.encode() + b"\n\xffairlift-ml-dsa-87" + spki).digest()[:4]


def pae(kind: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding of DSSE."""
    return b" ".join([b"DSSEv1", str(len(kind)).encode(), kind.encode(), str(len(payload)).encode(), payload])


def signed_parts(kind: str, data: bytes, pem: str, name: str) -> tuple[bytes, bytes]:
    """Return the message of a document and the signature over it that claims to be by the key."""
    if kind == "bare":
        return data[SIGNATURE_BYTES:], data[:SIGNATURE_BYTES]
    if kind == "note":
        text, _, lines = data.decode().rpartition("\n\n")
        by = {line.split(" ")[1]: base64.b64decode(line.split(" ")[2]) for line in lines.splitlines()}
        if by[name][:4] != note_key_id(name, pem):
            raise KeyError(name)
        return f"{text}\n".encode(), by[name][4:]
    document = json.loads(data)
    if kind == "tuf":
        signatures = {line["keyid"]: bytes.fromhex(line["sig"]) for line in document["signatures"]}
        return tuf_message(document["signed"]), signatures[tuf_key_id(pem)]
    signatures = {line["keyid"]: base64.b64decode(line["sig"]) for line in document["signatures"]}
    return pae(document["payloadType"], base64.b64decode(document["payload"])), signatures[tuf_key_id(pem)]


def verifies(question: dict[str, Any]) -> bool:
    """Say whether the key signed the document."""
    data = base64.b64decode(question["data"])
    try:
        message, signature = signed_parts(question["verify"], data, question["key"], question.get("name", ""))
    except (KeyError, ValueError):
        return False
    return bool(ML_DSA_87.verify(raw_key(question["key"]), message, signature))


def make(question: dict[str, Any]) -> dict[str, str]:
    """Return a key made from a seed, and a document that it signed."""
    public, private = ML_DSA_87.key_derive(bytes.fromhex(question["seed"]))
    pem, data = to_pem(public), base64.b64decode(question["data"])
    made = form(
        question["make"],
        data,
        pem,
        question.get("name", ""),
        lambda m: ML_DSA_87.sign(private, m, deterministic=True),
    )
    return {"key": pem, "data": base64.b64encode(made).decode()}


def form(kind: str, data: bytes, pem: str, name: str, sign: Sign) -> bytes:
    """Return the document of a kind around ``data``: a message, ``signed``, the text of a note, or a payload."""
    if kind == "bare":
        return sign(data) + data
    if kind == "note":
        line = base64.b64encode(note_key_id(name, pem) + sign(data)).decode()
        return data + f"\n\u2014 {name} {line}\n".encode()
    key_id = tuf_key_id(pem)
    if kind == "tuf":
        signed = json.loads(data)
        return json.dumps(
            {"signed": signed, "signatures": [{"keyid": key_id, "sig": sign(tuf_message(signed)).hex()}]}
        ).encode()
    signature = base64.b64encode(sign(pae(name, data))).decode()
    payload = base64.b64encode(data).decode()
    return json.dumps(
        {"payload": payload, "payloadType": name, "signatures": [{"keyid": key_id, "sig": signature}]}
    ).encode()


if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(verifies(asked) if "verify" in asked else make(asked)))  # noqa: T201 - its answers
