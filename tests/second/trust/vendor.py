"""Vendors' signatures: OpenSSF Model Signing v1.0, methods key and certificate (5.5)."""

import fnmatch
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.second import strict
from tests.second.documents import fields
from tests.second.errors import Refused, demand
from tests.second.trust import keys
from tests.second.trust.statements import PAYLOAD_TYPE, encoding

LIMIT = 64 << 20
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE = "https://model_signing/signature/v1.0"
LEFT_OUT = (".git", ".gitattributes", ".github", ".gitignore")

_CURVES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
_LEFTOVER = re.compile(
    r"(?:\.cache|\.ds_store|\.huggingface|\.ipynb_checkpoints|__pycache__|desktop\.ini|thumbs\.db|\._.*|\.git.*)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Covered:
    """How many files a signature lists, and which of them are not there."""

    listed: int
    left_out: list[str]

    def names(self) -> list[str]:
        """Return the first 1,000 names, sorted, as a release manifest writes them (5.1-9)."""
        return sorted(_shown(name) for name in self.left_out)[:1000]


def verify(
    data: bytes, stated: dict[str, Any], files: Mapping[str, str], source: Mapping[str, Any] | None = None
) -> Covered:
    """Verify a vendor's signature over a component's files.

    Args:
        data: The signature file.
        stated: ``method`` and ``trusted`` of the release manifest (5.1-8).
        files: SHA-256 of the component's files by path.
        source: The component's source with its patterns (5.1-9), if files may lack.

    Raises:
        Refused: ``signature-invalid``, ``malformed``, or ``key-unavailable`` for what is not read.
    """
    bundle = strict.loads(data, LIMIT)
    demand(isinstance(bundle, dict) and bundle.get("mediaType") == MEDIA_TYPE, "a bundle of another type")
    envelope = bundle.get("dsseEnvelope")
    demand(isinstance(envelope, dict), "a bundle without an envelope")
    assert isinstance(envelope, dict)
    payload = keys.decode_base64(envelope.get("payload"))
    demand(envelope.get("payloadType") == PAYLOAD_TYPE, "an envelope of another type")
    (line,) = fields.items(envelope.get("signatures"), 1, 1)
    demand(isinstance(line, dict) and isinstance(line.get("keyid") or "", str), "a signature")
    public = _public(bundle.get("verificationMaterial"), stated)
    _verify_line(public, keys.decode_base64(line.get("sig")), encoding(PAYLOAD_TYPE, payload))
    own = hashlib.sha256(data).hexdigest()
    return _compare(strict.loads(payload, LIMIT, floats=True), files, own, source)


def _verify_line(public: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> None:
    try:
        public.verify(signature, message, ec.ECDSA(_CURVES[public.curve.name]))
    except InvalidSignature:
        raise Refused("signature-invalid", "a vendor's signature") from None


def _elliptic(public: object) -> ec.EllipticCurvePublicKey:
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name not in _CURVES:
        raise Refused("key-unavailable", "a vendor's key of another algorithm")
    return public


def _key_of(pem: str) -> object:
    try:
        return serialization.load_pem_public_key(pem.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Refused("key-unavailable", "a vendor's key that cannot be read") from None


def _root_of(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Refused("key-unavailable", "a root certificate that cannot be read") from None


def _public(material: Any, stated: dict[str, Any]) -> ec.EllipticCurvePublicKey:
    demand(isinstance(material, dict), "no verification material")
    if stated["method"] == "key":
        if "certificate" in material:
            raise Refused("key-unavailable", "a keyless signature")
        demand("publicKey" in material, "material without a key")
        return _elliptic(_key_of(stated["trusted"][0]))
    if "certificate" in material:
        raise Refused("key-unavailable", "a keyless signature")
    chain = material.get("x509CertificateChain")
    demand(isinstance(chain, dict), "material without certificates")
    lines = fields.items(chain.get("certificates"), 16, 1)
    roots = [_root_of(pem) for pem in stated["trusted"]]
    try:
        given = [x509.load_der_x509_certificate(keys.decode_base64(line["rawBytes"])) for line in lines]
        _for_signatures(given[0])
        _lead(given[0], given[1:], roots, given[0].not_valid_before_utc, 0)
    except (ValueError, KeyError, TypeError, UnsupportedAlgorithm):
        raise Refused("malformed", "a certificate that cannot be read") from None
    return _elliptic(given[0].public_key())


def _for_signatures(leaf: x509.Certificate) -> None:
    usage = _extension(leaf, x509.KeyUsage)
    extended = _extension(leaf, x509.ExtendedKeyUsage)
    signs = usage is not None and usage.digital_signature
    code = extended is not None and ExtendedKeyUsageOID.CODE_SIGNING in extended
    demand(signs or code, "a certificate that is not for signatures", "signature-invalid")


def _extension(certificate: x509.Certificate, kind: type[Any]) -> Any:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _lead(
    leaf: x509.Certificate,
    between: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    at: datetime,
    depth: int,
) -> None:
    """Hold that a certificate leads to one of the roots at a time, through authorities (RFC 5280).

    Raises:
        Refused: ``signature-invalid``.
    """
    for issuer in (*roots, *between):
        if not _issued(leaf, issuer, at, depth):
            continue
        if issuer in roots:
            return
        try:
            _lead(issuer, [other for other in between if other is not issuer], roots, at, depth + 1)
        except Refused:
            continue
        return
    raise Refused("signature-invalid", "a certificate that leads to no root")


def _issued(leaf: x509.Certificate, issuer: x509.Certificate, at: datetime, depth: int) -> bool:
    try:
        leaf.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    basic, usage = _extension(issuer, x509.BasicConstraints), _extension(issuer, x509.KeyUsage)
    return (
        issuer.not_valid_before_utc <= at <= issuer.not_valid_after_utc
        and basic is not None
        and basic.ca
        and (basic.path_length is None or basic.path_length >= depth)
        and (usage is None or usage.key_cert_sign)
    )


def _compare(statement: Any, files: Mapping[str, str], own: str, source: Mapping[str, Any] | None) -> Covered:
    demand(isinstance(statement, dict), "a statement that is no object")
    demand(statement.get("_type") == "https://in-toto.io/Statement/v1", "a statement of another type")
    demand(statement.get("predicateType") == PREDICATE, "a predicate of another type")
    predicate = statement.get("predicate")
    demand(isinstance(predicate, dict), "a predicate that is no object")
    ignored = _serialised(predicate.get("serialization"))
    listed = _resources(predicate.get("resources"))
    _subject(statement.get("subject"), listed)
    if set(listed) == {"."} and len(files) == 1:
        listed = dict(zip(files, listed.values(), strict=True))
    for path, digest in files.items():
        if path in listed:
            demand(listed[path] == digest, "a file that the vendor did not sign", "digest-mismatch")
        else:
            demand(digest == own or _below(path, ignored), "a file that is not listed", "inventory-mismatch")
    missing = sorted(set(listed) - set(files))
    lacking = len(missing) < len(listed) and all(_may_lack(path, source) for path in missing)
    demand(not missing or lacking, "a listed file that is missing", "inventory-mismatch")
    return Covered(len(listed), missing)


def _serialised(value: Any) -> list[str]:
    demand(isinstance(value, dict), "no serialization")
    if value.get("method") != "files" or value.get("hash_type") != "sha256":
        raise Refused("key-unavailable", "a serialization that is not read")
    ignored = value.get("ignore_paths", [])
    demand(isinstance(ignored, list) and all(isinstance(path, str) for path in ignored), "paths to ignore")
    return [*ignored, *LEFT_OUT]


def _resources(value: Any) -> dict[str, str]:
    listed: dict[str, str] = {}
    for resource in fields.items(value, 1 << 20, 1):
        demand(isinstance(resource, dict) and isinstance(resource.get("name"), str), "a resource")
        demand(resource.get("algorithm") == "sha256", "a resource of another digest")
        demand(resource["name"] not in listed, "a resource twice")
        listed[resource["name"]] = fields.digest(resource.get("digest"), 64)
    return listed


def _subject(value: Any, listed: Mapping[str, str]) -> None:
    """Hold the subject against the resources: SHA-256 over their digests, one after the other (OMS 1.0)."""
    (subject,) = fields.items(value, 1, 1)
    demand(isinstance(subject, dict) and isinstance(subject.get("digest"), dict), "a subject")
    whole = hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in listed.values())).hexdigest()
    demand(subject["digest"].get("sha256") == whole, "a subject that is not of its resources")


def _shown(name: str) -> str:
    """Return a name as 5.1-9 writes it: escaped if it does not print, cut if it is too long."""
    escaped = name
    if not name.isprintable() or "\\" in name:
        escaped = ascii(name)[1:-1]
    if len(escaped) <= 4096:
        return escaped
    return f"{escaped[:4079]}~{hashlib.sha256(escaped.encode()).hexdigest()[:16]}"


def _below(path: str, ignored: Sequence[str]) -> bool:
    return any(path == other or path.startswith(f"{other}/") for other in ignored)


def _may_lack(path: str, source: Mapping[str, Any] | None) -> bool:
    """Tell whether it is a leftover, or the patterns of a chain's last source leave it out (5.5-6)."""
    while source and "origin" in source:
        source = source["origin"]
    if any(_LEFTOVER.fullmatch(part) for part in path.split("/")):
        return True
    include, exclude = (source or {}).get("include"), (source or {}).get("exclude", [])
    if include and not any(fnmatch.fnmatchcase(path, pattern) for pattern in include):
        return True
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in exclude)
