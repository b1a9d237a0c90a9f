"""Load a private key: from a file, or from the token that a ``pkcs11:`` URI names (SPEC 4.1)."""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA87PrivateKey

from airlift.errors import KeyUnavailableError
from airlift.trust.keys.file import FileSigner
from airlift.trust.keys.public import Passphrase, Signer, read_key_file, unsupported


def load_signer(source: str, passphrase: Passphrase | None = None) -> Signer:
    """Load a private key from a PKCS#8 PEM file, or from the token that a ``pkcs11:`` URI names.

    ``passphrase`` is asked if the file is encrypted, or for the token's PIN.

    Raises:
        KeyUnavailableError: the key is missing, not of :data:`SCHEMES`, or does not open.
        PermissionDeniedError: the file may not be read.
        UsageError: a ``pkcs11:`` URI makes no sense.
    """
    if source.startswith("pkcs11:"):
        from airlift.trust.keys.token import load_token  # noqa: PLC0415 - only who names a token needs it

        return load_token(source, passphrase)
    data = read_key_file(Path(source))
    if b"-----BEGIN PUBLIC KEY-----" in data:
        raise KeyUnavailableError(f"{source} is a public key", expected="a private key (.key)")
    handle = _open(data, source, passphrase)
    if not isinstance(handle, MLDSA87PrivateKey | EllipticCurvePrivateKey):
        raise unsupported(source, type(handle).__name__)
    return FileSigner.from_handle(handle, source)


# -- inside --------------------------------------------------------------------------------------------------------


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
        raise unsupported(source, "an unknown algorithm") from error
    except ValueError as error:
        reason = "the passphrase is wrong" if secret else "it is no private key in PKCS#8 PEM"
        raise KeyUnavailableError(f"{source} cannot be opened: {reason}") from error
