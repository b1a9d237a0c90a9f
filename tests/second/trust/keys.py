"""Public keys and signatures (4.1)."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa

from tests.second import strict
from tests.second.documents import fields
from tests.second.errors import demand, malformed

ML_DSA, ECDSA = "ml-dsa-87", "ecdsa-p384"
SCHEMES = {("ml-dsa", "ml-dsa-87/1"): ML_DSA, ("ecdsa", "ecdsa-sha2-nistp384"): ECDSA}
DER_SIZES = {ML_DSA: 2614, ECDSA: 120}


@dataclass(frozen=True, slots=True)
class Key:
    """A public key.

    Attributes:
        id: Its key id (4.1-3).
        scheme: ``ML_DSA`` or ``ECDSA``.
        public: The key itself.
    """

    id: str
    scheme: str
    public: mldsa.MLDSA87PublicKey | ec.EllipticCurvePublicKey

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Tell whether the signature over the message is this key's."""
        try:
            if isinstance(self.public, mldsa.MLDSA87PublicKey):
                self.public.verify(signature, message)
            else:
                if len(signature) > 104:
                    return False
                self.public.verify(signature, message, ec.ECDSA(hashes.SHA384()))
        except InvalidSignature:
            return False
        return True

    def signed_metadata(self, signed: Any, signature: bytes) -> bool:
        """Tell whether the signature over TUF metadata is this key's (4.1-5)."""
        message = canonical(signed)
        if self.scheme == ML_DSA:
            message = b"tuf\x01" + hashlib.sha512(message).digest()
        return self.signed(message, signature)


def parse(key_id: str, value: Any) -> Key:
    """Parse a key of TUF metadata, with its holder (4.2-4).

    Raises:
        Refused: ``malformed``.
    """
    fields.digest(key_id, 64)
    fields.members(value, "keytype scheme keyval x-airlift-holder")
    holder = value["x-airlift-holder"]
    demand(isinstance(holder, str) and 1 <= len(holder) <= 128 and holder.isprintable(), "a holder")
    fields.members(value["keyval"], "public")
    found = [scheme for types, scheme in SCHEMES.items() if types == (value["keytype"], value["scheme"])]
    demand(found, "a scheme that is not accepted")
    (scheme,) = found
    named = {name: value[name] for name in ("keytype", "keyval", "scheme")}
    demand(hashlib.sha256(canonical(named)).hexdigest() == key_id, "a key under another id")
    return Key(key_id, scheme, _public(value["keyval"]["public"], scheme))


def of_pem(pem: str) -> Key:
    """Return a key that is not of TUF metadata: its scheme is what it is."""
    der = _der(pem)
    (scheme,) = (scheme for scheme, size in DER_SIZES.items() if size == len(der))
    (types,) = (types for types, known in SCHEMES.items() if known == scheme)
    named = {"keytype": types[0], "keyval": {"public": pem}, "scheme": types[1]}
    return Key(hashlib.sha256(canonical(named)).hexdigest(), scheme, _public(pem, scheme))


def _public(pem: Any, scheme: str) -> mldsa.MLDSA87PublicKey | ec.EllipticCurvePublicKey:
    demand(isinstance(pem, str) and pem.isascii() and len(pem) < 8192, "a key that is no PEM")
    try:
        public = serialization.load_der_public_key(_der(pem))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise malformed("a key that cannot be read") from None
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    spelled = public.public_bytes(serialization.Encoding.DER, form)
    demand(spelled == _der(pem) and len(spelled) == DER_SIZES[scheme], "a key in another spelling")
    if scheme == ML_DSA:
        demand(isinstance(public, mldsa.MLDSA87PublicKey), "a key of another scheme")
    else:
        demand(isinstance(public, ec.EllipticCurvePublicKey), "a key of another scheme")
        assert isinstance(public, ec.EllipticCurvePublicKey)
        demand(isinstance(public.curve, ec.SECP384R1), "a key on another curve")
    assert isinstance(public, mldsa.MLDSA87PublicKey | ec.EllipticCurvePublicKey)
    return public


def _der(pem: str) -> bytes:
    """Return the DER of a PEM that is spelled as RFC 7468 writes it (4.1-2)."""
    head, foot = "-----BEGIN PUBLIC KEY-----\n", "\n-----END PUBLIC KEY-----\n"
    demand(pem.startswith(head) and pem.endswith(foot), "a key that is no PEM")
    der = decode_base64(pem[len(head) : -len(foot)].replace("\n", ""))
    text = base64.b64encode(der).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    demand(pem == head + lines + foot, "a key in another spelling")
    return der


def canonical(value: Any) -> bytes:
    """Return TUF's canonical JSON (OLPC): as section 3, but of strings only quotes and backslashes are escaped."""
    if isinstance(value, dict):
        inner = b",".join(canonical(key) + b":" + canonical(value[key]) for key in sorted(value))
        return b"{" + inner + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(canonical, value)) + b"]"
    if isinstance(value, str):
        return b'"' + value.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'
    return strict.dumps(value)


def decode_base64(text: Any) -> bytes:
    """Decode the standard alphabet with padding, in its only spelling (4.5-1)."""
    demand(isinstance(text, str) and text.isascii(), "no base64")
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise malformed("no base64") from None
    demand(base64.b64encode(data).decode() == text, "base64 in another spelling")
    return data
