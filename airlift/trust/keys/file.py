"""Key pairs in files: made in memory, and written as PEM (SPEC 4.1)."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP384R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA87PrivateKey
from cryptography.hazmat.primitives.hashes import SHA384

from airlift import files
from airlift.errors import AirliftError, ExistsError, UsageError
from airlift.trust.keys.public import ECDSA_P384, ML_DSA_87, SCHEMES, PublicKey

PRIVATE_MODE = 0o600
PUBLIC_MODE = 0o644

PrivateHandle = MLDSA87PrivateKey | EllipticCurvePrivateKey
"""A private key of the cryptography library, of a scheme that airlift accepts if it is ECDSA over P-384."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PEM = serialization.Encoding.PEM
_PKCS8 = serialization.PrivateFormat.PKCS8


@dataclass(frozen=True, slots=True, eq=False)
class FileSigner:
    """A private key held in memory, from a file or freshly generated."""

    public: PublicKey
    _handle: PrivateHandle = field(repr=False)

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

    @classmethod
    def from_handle(cls, handle: PrivateHandle, what: str = "private key") -> "FileSigner":
        """Wrap a private key of the cryptography library.

        Raises:
            KeyUnavailableError: its algorithm is none of :data:`airlift.trust.keys.public.SCHEMES`.
        """
        return cls(PublicKey.from_handle(handle.public_key(), what), handle)


def generate(scheme: str = ML_DSA_87) -> FileSigner:
    """Generate a key pair in memory.

    Raises:
        UsageError: ``scheme`` is none of :data:`SCHEMES`.
    """
    if scheme == ML_DSA_87:
        return FileSigner.from_handle(MLDSA87PrivateKey.generate())
    if scheme == ECDSA_P384:
        return FileSigner.from_handle(generate_private_key(SECP384R1()))
    raise UsageError("unknown key scheme", expected=" or ".join(SCHEMES), found=ascii(scheme))


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


# -- inside --------------------------------------------------------------------------------------------------------


def _plain(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(
            "not a name for a key", expected="1 to 64 of A-Z a-z 0-9 . _ -", found=ascii(name[:80])
        )
    return name
