"""Keys and signers: ML-DSA-87 (FIPS 204) by default, ECDSA P-384 with SHA-384 for tokens; nothing else (SPEC 4.1).

A public key is held as its one canonical SubjectPublicKeyInfo, so that two spellings of a key compare equal. A key id
is the TUF key id (SHA-256 over the canonical JSON of the TUF key, as securesystemslib computes it); a fingerprint is
what people compare (SHA-384 over the DER).
"""

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP384R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA87PrivateKey, MLDSA87PublicKey
from cryptography.hazmat.primitives.hashes import SHA384
from securesystemslib.formats import encode_canonical

from airlift import files
from airlift.errors import (
    AirliftError,
    ExistsError,
    KeyUnavailableError,
    MalformedError,
    PermissionDeniedError,
    SignatureError,
    UsageError,
)

ML_DSA_87 = "ml-dsa-87"
ECDSA_P384 = "ecdsa-p384"
SCHEMES = (ML_DSA_87, ECDSA_P384)

TUF_SCHEMES = {ML_DSA_87: ("ml-dsa", "ml-dsa-87/1"), ECDSA_P384: ("ecdsa", "ecdsa-sha2-nistp384")}
"""Key type and scheme as TUF metadata names them."""

MAX_SIGNATURE_BYTES = {ML_DSA_87: 4627, ECDSA_P384: 104}
"""Longest signature of each scheme in bytes; ECDSA signatures are DER and vary in length, ML-DSA ones do not."""

MAX_KEY_FILE_BYTES = 65536
PRIVATE_MODE = 0o600
PUBLIC_MODE = 0o644

Passphrase = Callable[[str], bytes | None]
"""Asked with the key's path when the private key is encrypted; None means that there is none."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PublicHandle = MLDSA87PublicKey | EllipticCurvePublicKey
_PrivateHandle = MLDSA87PrivateKey | EllipticCurvePrivateKey

_DER = serialization.Encoding.DER
_PEM = serialization.Encoding.PEM
_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
_PKCS8 = serialization.PrivateFormat.PKCS8


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
            handle = serialization.load_pem_public_key(data)
        except UnsupportedAlgorithm as error:
            raise _unsupported(what, "an unknown algorithm") from error
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
            raise _unsupported(what, type(handle).__name__)
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


@dataclass(frozen=True, slots=True, eq=False)
class FileSigner:
    """A private key held in memory, from a file or freshly generated."""

    public: PublicKey
    _handle: _PrivateHandle = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """Sign ``message``: hedged pure ML-DSA without context, or ECDSA with SHA-384 (DER)."""
        if isinstance(self._handle, MLDSA87PrivateKey):
            return self._handle.sign(message)
        return self._handle.sign(message, ECDSA(SHA384()))

    def private_pem(self, passphrase: bytes | None) -> bytes:
        """Return the private key as PKCS#8 PEM, encrypted (PBES2, AES-256) unless ``passphrase`` is None.

        Raises:
            UsageError: the passphrase is empty.
        """
        if passphrase is None:
            return self._handle.private_bytes(_PEM, _PKCS8, serialization.NoEncryption())
        if not passphrase:
            raise UsageError("the passphrase is empty", hint="give a passphrase, or say --no-passphrase")
        return self._handle.private_bytes(_PEM, _PKCS8, serialization.BestAvailableEncryption(passphrase))


def generate(scheme: str = ML_DSA_87) -> FileSigner:
    """Generate a key pair in memory.

    Raises:
        UsageError: ``scheme`` is none of :data:`SCHEMES`.
    """
    if scheme == ML_DSA_87:
        return _signer(MLDSA87PrivateKey.generate())
    if scheme == ECDSA_P384:
        return _signer(generate_private_key(SECP384R1()))
    raise UsageError("unknown key scheme", expected=" or ".join(SCHEMES), found=ascii(scheme))


def load_signer(source: str, passphrase: Passphrase | None = None) -> Signer:
    """Load a private key from a PKCS#8 PEM file, or from the token that a ``pkcs11:`` URI names.

    ``passphrase`` is asked if the file is encrypted, or for the token's PIN.

    Raises:
        KeyUnavailableError: the key is missing, not of :data:`SCHEMES`, or does not open.
        PermissionDeniedError: the file may not be read.
        UsageError: a ``pkcs11:`` URI makes no sense.
    """
    if source.startswith("pkcs11:"):
        from airlift.trust.keys.token import load_token  # noqa: PLC0415 - it builds on this module

        return load_token(source, passphrase)
    data = _read(Path(source))
    if b"-----BEGIN PUBLIC KEY-----" in data:
        raise KeyUnavailableError(f"{source} is a public key", expected="a private key (.key)")
    handle = _open(data, source, passphrase)
    if not isinstance(handle, MLDSA87PrivateKey | EllipticCurvePrivateKey):
        raise _unsupported(source, type(handle).__name__)
    return _signer(handle, source)


def load_public(path: Path) -> PublicKey:
    """Load a public key from a SubjectPublicKeyInfo PEM file (``.pub``).

    Raises:
        KeyUnavailableError: the file is missing, or of an algorithm that airlift does not accept.
        MalformedError: it is no public key PEM.
        PermissionDeniedError: the file may not be read.
    """
    data = _read(path)
    if b"PRIVATE KEY-----" in data:
        raise KeyUnavailableError(f"{path} is a private key", expected="a public key (.pub)")
    return PublicKey.from_pem(data, str(path))


def write_key_pair(
    signer: FileSigner, folder: Path, name: str, passphrase: bytes | None
) -> tuple[Path, Path]:
    """Write ``NAME.key`` (mode 0600) and ``NAME.pub`` (mode 0644) durably; return both paths.

    Nothing is left behind on failure, and nothing is ever overwritten.

    Raises:
        ExistsError: either file exists.
        UsageError: ``name`` is not a plain portable file name, or the passphrase is empty.
    """
    private, public = folder / f"{_plain(name)}.key", folder / f"{name}.pub"
    pem = signer.private_pem(passphrase)
    for path in (private, public):
        if path.is_symlink() or path.exists():
            raise ExistsError(f"{path} exists", hint="choose another name; a key is never overwritten")
    files.make_folder(folder)
    files.write_durable(private, pem, mode=PRIVATE_MODE, replace=False)
    try:
        files.write_durable(public, signer.public.pem(), mode=PUBLIC_MODE, replace=False)
    except AirliftError:
        files.remove(private)
        raise
    return private, public


def canonical(value: Any) -> bytes:
    """Return the OLPC canonical JSON that TUF digests and signs (TUF 4.2.1); ``value`` is strict JSON."""
    return str(encode_canonical(value)).encode()


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


def _signer(handle: _PrivateHandle, what: str = "private key") -> FileSigner:
    return FileSigner(PublicKey.from_handle(handle.public_key(), what), handle)


def _open(data: bytes, source: str, passphrase: Passphrase | None) -> object:
    try:
        return _load_private(data, None, source)
    except TypeError:  # cryptography's way to say: it is encrypted
        secret = passphrase(source) if passphrase is not None else None
    if not secret:
        raise KeyUnavailableError(f"{source} is encrypted", expected="a passphrase")
    return _load_private(data, secret, source)


def _load_private(data: bytes, secret: bytes | None, source: str) -> object:
    try:
        return serialization.load_pem_private_key(data, secret)
    except UnsupportedAlgorithm as error:
        raise _unsupported(source, "an unknown algorithm") from error
    except ValueError as error:
        reason = "the passphrase is wrong" if secret else "it is no private key in PKCS#8 PEM"
        raise KeyUnavailableError(f"{source} cannot be opened: {reason}") from error


def _read(path: Path) -> bytes:
    """Read a key file; unlike data from a medium it may be reached through a link."""
    try:
        return files.read_bounded(os.path.realpath(path), MAX_KEY_FILE_BYTES)
    except PermissionDeniedError:
        raise
    except AirliftError as error:
        raise KeyUnavailableError(f"cannot read key {path}", found=error.found) from error


def _plain(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(
            "not a name for a key", expected="1 to 64 of A-Z a-z 0-9 . _ -", found=ascii(name[:80])
        )
    return name


def _unsupported(what: str, found: str) -> KeyUnavailableError:
    return KeyUnavailableError(
        f"{what} has an algorithm that airlift does not accept", expected=" or ".join(SCHEMES), found=found
    )
