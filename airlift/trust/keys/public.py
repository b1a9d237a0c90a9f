"""Public keys and what signs with their private halves: ML-DSA-87 (FIPS 204) by default, ECDSA P-384 for tokens.

No other scheme is accepted (SPEC 4.1). A public key is held as its one canonical SubjectPublicKeyInfo, so that two
spellings of a key compare equal. A key id is the TUF key id (SHA-256 over the canonical JSON of the TUF key, as
securesystemslib computes it); a fingerprint is what people compare (SHA-384 over the DER).
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP384R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA87PublicKey
from cryptography.hazmat.primitives.hashes import SHA384
from securesystemslib.formats import encode_canonical

from airlift import files
from airlift.errors import (
    AirliftError,
    KeyUnavailableError,
    MalformedError,
    PermissionDeniedError,
    SignatureError,
)

ML_DSA_87 = "ml-dsa-87"
ECDSA_P384 = "ecdsa-p384"
SCHEMES = (ML_DSA_87, ECDSA_P384)

TUF_SCHEMES = {ML_DSA_87: ("ml-dsa", "ml-dsa-87/1"), ECDSA_P384: ("ecdsa", "ecdsa-sha2-nistp384")}
"""Key type and scheme as TUF metadata names them."""

MAX_SIGNATURE_BYTES = {ML_DSA_87: 4627, ECDSA_P384: 104}
"""Longest signature of each scheme in bytes; ECDSA signatures are DER and vary in length, ML-DSA ones do not."""

MAX_KEY_FILE_BYTES = 65536

Passphrase = Callable[[str], bytes | None]
"""Asked with a private key's path or URI if it needs a passphrase or PIN; None means that there is none."""

_PublicHandle = MLDSA87PublicKey | EllipticCurvePublicKey

_DER = serialization.Encoding.DER
_PEM = serialization.Encoding.PEM
_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key of one of :data:`SCHEMES`; ``spki`` is its canonical DER SubjectPublicKeyInfo.

    Raises:
        MalformedError: ``spki`` is not the canonical encoding of a key of ``scheme``.
    """

    scheme: str
    spki: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if _describe(self._handle()) != (self.scheme, self.spki):
            raise MalformedError("a public key is not in its canonical encoding", expected=self.scheme)

    @property
    def key_id(self) -> str:
        """The TUF key id: 64 hex digits."""
        return _key_id(self)

    def tuf(self) -> dict[str, Any]:
        """Return the key as TUF metadata spells it (TUF 4.2, TAP 21)."""
        keytype, scheme = TUF_SCHEMES[self.scheme]
        return {"keytype": keytype, "scheme": scheme, "keyval": {"public": self.pem().decode()}}

    @property
    def fingerprint(self) -> str:
        """SHA-384 of :attr:`spki` in hex: what two people read to each other."""
        return hashlib.sha384(self.spki).hexdigest()

    def pem(self) -> bytes:
        """Return the key as SubjectPublicKeyInfo PEM (RFC 7468)."""
        return self._handle().public_bytes(_PEM, _SPKI)

    def verify(self, signature: bytes, message: bytes) -> None:
        """Verify a signature over ``message``: pure ML-DSA without context, or ECDSA with SHA-384 (DER).

        Raises:
            SignatureError: the signature is not this key's over ``message``.
        """
        handle = self._handle()
        try:
            if isinstance(handle, MLDSA87PublicKey):
                handle.verify(signature, message)
            else:
                handle.verify(signature, message, ECDSA(SHA384()))
        except InvalidSignature as error:
            raise SignatureError(f"a signature by key {self.key_id[:16]} does not verify") from error

    @classmethod
    def from_pem(cls, data: bytes, what: str = "public key") -> "PublicKey":
        """Parse one SubjectPublicKeyInfo PEM of at most 64 KiB.

        Raises:
            MalformedError: it is no public key PEM.
            KeyUnavailableError: it is a key of an algorithm that airlift does not accept.
        """
        if len(data) > MAX_KEY_FILE_BYTES:
            raise MalformedError(f"{what} is too long", expected=f"at most {MAX_KEY_FILE_BYTES} bytes")
        try:
            handle = _load_pem(data)
        except UnsupportedAlgorithm as error:
            raise unsupported(what, "an unknown algorithm") from error
        except ValueError as error:
            raise MalformedError(f"{what} is not a public key in PEM") from error
        return cls.from_handle(handle, what)

    @classmethod
    def from_handle(cls, handle: object, what: str = "public key") -> "PublicKey":
        """Wrap a public key of the cryptography library.

        Raises:
            KeyUnavailableError: its algorithm is none of :data:`SCHEMES`.
        """
        described = _describe(handle)
        if described is None:
            raise unsupported(what, type(handle).__name__)
        return cls(*described)

    def _handle(self) -> _PublicHandle:
        handle = _load_spki(self.spki)
        if not isinstance(handle, MLDSA87PublicKey | EllipticCurvePublicKey):
            raise MalformedError("a public key has another algorithm", expected=self.scheme)
        return handle


class Signer(Protocol):
    """Something that holds a private key: a file, or a token."""

    @property
    def public(self) -> PublicKey:
        """The public half."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return a signature over ``message`` that :meth:`PublicKey.verify` accepts."""
        ...


def load_public(path: Path) -> PublicKey:
    """Load a public key from a SubjectPublicKeyInfo PEM file (``.pub``).

    Raises:
        KeyUnavailableError: the file is missing, or of an algorithm that airlift does not accept.
        MalformedError: it is no public key PEM.
        PermissionDeniedError: the file may not be read.
    """
    data = read_key_file(path)
    if b"PRIVATE KEY-----" in data:
        raise KeyUnavailableError(f"{path} is a private key", expected="a public key (.pub)")
    return PublicKey.from_pem(data, str(path))


def read_key_file(path: Path) -> bytes:
    """Return the bytes of a key file, at most 64 KiB; unlike data from a medium it may be reached through a link.

    Raises:
        KeyUnavailableError: it is missing or too long.
        PermissionDeniedError: it may not be read.
    """
    try:
        return files.read_bounded(os.path.realpath(path), MAX_KEY_FILE_BYTES)
    except PermissionDeniedError:
        raise
    except AirliftError as error:
        raise KeyUnavailableError(f"cannot read key {path}", found=error.found) from error


@lru_cache(maxsize=128)
def _load_pem(data: bytes) -> object:
    """Load a key once a process: metadata and policy name the same few again and again."""
    return serialization.load_pem_public_key(data)


def canonical(value: Any) -> bytes:
    """Return the OLPC canonical JSON that TUF digests and signs (TUF 4.2.1); ``value`` is strict JSON."""
    return str(encode_canonical(value)).encode()


def unsupported(what: str, found: str) -> KeyUnavailableError:
    """Return the error about a key ``what`` whose algorithm ``found`` is none of :data:`SCHEMES`."""
    return KeyUnavailableError(
        f"{what} has an algorithm that airlift does not accept", expected=" or ".join(SCHEMES), found=found
    )


# -- inside --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)  # the same few keys are parsed again and again
def _load_spki(spki: bytes) -> object:
    try:
        return serialization.load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise MalformedError("a public key is not a DER SubjectPublicKeyInfo") from error


@lru_cache(maxsize=256)
def _key_id(key: PublicKey) -> str:
    return hashlib.sha256(canonical(key.tuf())).hexdigest()


def _describe(handle: object) -> tuple[str, bytes] | None:
    """Return scheme and canonical DER of a public key handle, or None for a foreign algorithm or curve."""
    if isinstance(handle, MLDSA87PublicKey):
        return ML_DSA_87, handle.public_bytes(_DER, _SPKI)
    if isinstance(handle, EllipticCurvePublicKey) and isinstance(handle.curve, SECP384R1):
        return ECDSA_P384, handle.public_bytes(_DER, _SPKI)
    return None
