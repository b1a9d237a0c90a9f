"""ECDSA P-384 keys on a PKCS#11 token, named by a ``pkcs11:`` URI (RFC 7512; SPEC 4.1.6).

``pkcs11:token=LABEL;object=LABEL;id=%01?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=/path``: ``token``
and ``object`` or ``id`` name the key; the module is ``module-path`` or the environment's ``AIRLIFT_PKCS11_MODULE``;
the PIN comes from the file ``pin-source`` or is asked for like a passphrase, never from the URI itself. Needs the
extra ``hsm``.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from airlift import files
from airlift.errors import AirliftError, KeyUnavailableError, MalformedError, SignatureError, UsageError
from airlift.trust.keys.public import ECDSA_P384, Passphrase, PublicKey

SCHEME = "pkcs11:"
MODULE_VARIABLE = "AIRLIFT_PKCS11_MODULE"
MAX_PIN_BYTES = 255
_PATH = frozenset({"token", "serial", "object", "id", "type"})
_QUERY = frozenset({"module-path", "pin-source"})
_COORDINATE = 48


@dataclass(frozen=True, slots=True)
class TokenUri:
    """What a ``pkcs11:`` URI says; ``None`` where it says nothing."""

    source: str
    token: str | None
    serial: bytes | None
    label: str | None
    key: bytes | None
    module: str | None
    pin_source: str | None


@dataclass(frozen=True, slots=True, eq=False)
class TokenSigner:
    """A private key that never leaves its token; each signature opens a session of its own."""

    public: PublicKey
    _uri: TokenUri = field(repr=False)
    _pin: str = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """Return a DER ECDSA signature over the SHA-384 of ``message``, verified before it is returned.

        Raises:
            KeyUnavailableError: the token is gone, or its signature is not by its own public key.
        """
        with _session(self._uri, self._pin) as (pkcs11, session):
            private = _find(self._uri, pkcs11.ObjectClass.PRIVATE_KEY, session)
            raw = private.sign(hashlib.sha384(message).digest(), mechanism=pkcs11.Mechanism.ECDSA)
        numbers = (int.from_bytes(raw[:_COORDINATE], "big"), int.from_bytes(raw[_COORDINATE:], "big"))
        signature = encode_dss_signature(*numbers)
        try:
            self.public.verify(signature, message)
        except SignatureError as error:
            raise KeyUnavailableError(
                f"{self._uri.source}: private and public key do not belong together"
            ) from error
        return signature


def load_token(source: str, passphrase: Passphrase | None = None) -> TokenSigner:
    """Open the key that a ``pkcs11:`` URI names; ``passphrase`` is asked for the PIN unless it is in ``pin-source``.

    Raises:
        KeyUnavailableError: module, token, key or PIN is missing or wrong, or the key is not ECDSA P-384.
        UsageError: the URI makes no sense, or holds a PIN.
    """
    uri = parse(source)
    pin = _pin(uri, passphrase)
    with _session(uri, pin) as (pkcs11, session):
        _find(uri, pkcs11.ObjectClass.PRIVATE_KEY, session)
        spki = pkcs11.util.ec.encode_ec_public_key(_find(uri, pkcs11.ObjectClass.PUBLIC_KEY, session))
    try:
        public = PublicKey(ECDSA_P384, spki)
    except MalformedError as error:
        raise KeyUnavailableError(f"{source} is another kind of key", expected=ECDSA_P384) from error
    return TokenSigner(public, uri, pin)


def parse(source: str) -> TokenUri:
    """Parse a ``pkcs11:`` URI; every attribute at most once, and none that is not understood.

    Raises:
        UsageError: it makes no sense, or holds a PIN.
    """
    if not source.startswith(SCHEME):
        raise UsageError("not a pkcs11: URI", found=ascii(source[:200]))
    path, _, query = source.removeprefix(SCHEME).partition("?")
    named, asked = _attributes(path, ";", _PATH), _attributes(query, "&", _QUERY)
    if "object" not in named and "id" not in named:
        raise UsageError(
            "a pkcs11: URI must name a key", expected="object=LABEL or id=%XX", found=ascii(source[:200])
        )
    if named.get("type", b"private") != b"private":
        raise UsageError("a pkcs11: URI must name a private key", expected="type=private")

    def text(value: bytes | None) -> str | None:
        return None if value is None else value.decode(errors="replace")

    return TokenUri(
        source=source,
        token=text(named.get("token")),
        serial=named.get("serial"),
        label=text(named.get("object")),
        key=named.get("id"),
        module=text(asked.get("module-path")),
        pin_source=text(asked.get("pin-source")),
    )


# -- inside --------------------------------------------------------------------------------------------------------


def _attributes(text: str, separator: str, allowed: frozenset[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in filter(None, text.split(separator)):
        name, equals, value = part.partition("=")
        if name == "pin-value":
            raise UsageError(
                "a PIN does not belong into a pkcs11: URI", hint="use pin-source=FILE, or be asked for it"
            )
        if name not in allowed or not equals or name in found:
            raise UsageError(
                "a pkcs11: URI has an attribute that is unknown or given twice",
                expected=", ".join(sorted(allowed)),
                found=ascii(name[:40]),
            )
        found[name] = unquote_to_bytes(value)
    return found


def _pin(uri: TokenUri, passphrase: Passphrase | None) -> str:
    if uri.pin_source is not None:
        path = uri.pin_source.removeprefix("file://").removeprefix("file:")
        try:
            secret: bytes | None = files.read_bounded(os.path.realpath(path), MAX_PIN_BYTES).rstrip(b"\r\n")
        except AirliftError as error:
            raise KeyUnavailableError(f"cannot read the PIN in {path}", found=error.found) from error
    else:
        secret = None if passphrase is None else passphrase(uri.source)
    if not secret:
        raise KeyUnavailableError(
            f"{uri.source} needs a PIN", expected="pin-source=FILE, or an answer to the prompt"
        )
    try:
        return secret.decode()
    except UnicodeDecodeError as error:
        raise KeyUnavailableError(f"the PIN of {uri.source} is not UTF-8") from error


@contextmanager
def _session(uri: TokenUri, pin: str) -> Iterator[tuple[Any, Any]]:
    """Log in to the token for as long as the body runs; yield the pkcs11 library and the session."""
    pkcs11 = _library()
    module = uri.module or os.environ.get(MODULE_VARIABLE)
    if not module:
        raise KeyUnavailableError(
            f"no PKCS#11 module is named for {uri.source}",
            expected=f"?module-path=FILE, or {MODULE_VARIABLE}",
        )
    try:
        token = pkcs11.lib(module).get_token(token_label=uri.token, token_serial=uri.serial)
        with token.open(user_pin=pin) as session:
            yield pkcs11, session
    except (pkcs11.PKCS11Error, RuntimeError) as error:
        reason = str(error) or type(error).__name__
        raise KeyUnavailableError(
            f"{uri.source} cannot be used",
            found=reason,
            hint="check the token, its label, the key's name and the PIN",
        ) from error


def _find(uri: TokenUri, kind: Any, session: Any) -> Any:
    return session.get_key(object_class=kind, label=uri.label, id=uri.key)


def _library() -> Any:
    try:
        import pkcs11  # noqa: PLC0415 - an extra: only those who use a token need it
        import pkcs11.util.ec  # noqa: PLC0415
    except ImportError as error:
        raise KeyUnavailableError(
            "keys on tokens need the library python-pkcs11", hint="install airlift with the extra `hsm`"
        ) from error
    return pkcs11
