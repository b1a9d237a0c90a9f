"""Vendors' signatures over a model folder: OpenSSF Model Signing v1.0, key and certificate methods (SPEC 5.5).

A ``model.sig`` is a Sigstore bundle (v0.3, JSON) around a DSSE envelope around an in-toto Statement v1 that lists
every file of the folder with its SHA-256. Facts of the format: github.com/ossf/model-signing-spec, version 1.0, and
github.com/sigstore/model-transparency, version 1.1.1.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from airlift import strict
from airlift.bundle import fields, release
from airlift.bundle.component.file_entry import MAX_FILES
from airlift.errors import DigestError, InventoryError, KeyUnavailableError, MalformedError, SignatureError
from airlift.trust.keys.public import PublicKey
from airlift.trust.statements import dsse

MAX_BYTES = release.MAX_BYTES
"""64 MiB: 200,000 files of some 200 bytes each, in base64."""

KEY, CERTIFICATE = "key", "certificate"
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
ALWAYS_IGNORED = (".git", ".gitattributes", ".github", ".gitignore")
"""What no statement vouches for at the top of a folder, whether it says so or not (Model Signing 6.2)."""
WHOLE = "."
"""The name of the only file in statements that early versions of the tool made about a model of one file."""
MAX_IGNORED = 1024
MAX_CHAIN = 8

_CURVES: dict[str, type[hashes.HashAlgorithm]] = {
    "secp256r1": hashes.SHA256,
    "secp384r1": hashes.SHA384,
    "secp521r1": hashes.SHA512,
}
_DER, _SPKI = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo


def _nothing(_path: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a vendor vouched for: the folder's name, the fingerprint (SHA-256, hex) of what was trusted, and what not.

    ``fingerprint`` is that of the public key's SubjectPublicKeyInfo, or of the root certificate; ``ignored`` are
    files that the vendor's statement leaves out, such as the signature itself. ``listed`` counts the files that the
    vendor signed, ``lacking`` are those of them that are not there.
    """

    model: str
    method: str
    fingerprint: str
    ignored: tuple[str, ...]
    listed: int
    lacking: tuple[str, ...]


def verify_model(
    signature: bytes,
    digests: Mapping[str, str],
    method: str,
    trusted: Sequence[str],
    may_lack: Callable[[str], bool] = _nothing,
) -> Vouched:
    """Verify a vendor's signature over the files of a folder: relative path to SHA-256 (hex).

    ``trusted`` is one public key, or the root certificates, in PEM, as ``method`` says. Files that the vendor signed
    may be missing from the folder only if ``may_lack`` says so of their paths, and never all of them.

    Raises:
        MalformedError: the signature file is not in its format.
        SignatureError: it is not signed by the key, or its certificate does not lead to a root.
        DigestError, InventoryError: the folder is not the one that was signed.
        KeyUnavailableError: the key, or the way that the files were digested, is not one that airlift knows.
    """
    material, envelope = _parse(signature)
    _check_method(material, method)
    key, fingerprint = _with_key(trusted[0]) if method == KEY else _with_certificates(material, trusted)
    try:
        key.verify(
            envelope.signatures[0].value,
            dsse.pae(envelope.payload_type, envelope.payload),
            ec.ECDSA(_CURVES[key.curve.name]()),
        )
    except InvalidSignature as error:
        raise SignatureError("the vendor's signature does not verify") from error
    model, resources, ignored = _statement(envelope)
    own = hashlib.sha256(signature).hexdigest()
    left_out, lacking = _compare(digests, resources, (*ignored, *ALWAYS_IGNORED), own, may_lack)
    return Vouched(model, method, fingerprint, left_out, len(resources), lacking)


def key_ids(method: str, trusted: Sequence[str]) -> frozenset[str]:
    """Return what a revocation can name of what a vendor's signature is verified with (SPEC 5.4): SHA-256 in hex.

    Of a key over its SubjectPublicKeyInfo, and its TUF key id if it has one; of root certificates their fingerprints.

    Raises:
        KeyUnavailableError: it cannot be read.
    """
    if method != KEY:
        return frozenset(root.fingerprint(hashes.SHA256()).hex() for root in _roots(trusted))
    known, fingerprint = _with_key(trusted[0])
    if known.curve.name != "secp384r1":
        return frozenset({fingerprint})
    return frozenset({fingerprint, PublicKey.from_handle(known, "a vendor's key").key_id})


# -- the key -------------------------------------------------------------------------------------------------------


def _check_method(material: Mapping[str, Any], method: str) -> None:
    """Check that a signature file holds what its method verifies with; which key counts is not for it to say."""
    if "certificate" in material:
        raise KeyUnavailableError(
            "the vendor's signature is keyless, which airlift does not verify",
            expected="a signature by a key, or by a chain of certificates",
            hint="ask the vendor for a signature by key or certificate",
        )
    if method == KEY:
        strict.member(material, "publicKey", dict, "vendor signature: verification material")


def _with_key(pem: str) -> tuple[ec.EllipticCurvePublicKey, str]:
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyUnavailableError("a vendor's public key is not in PEM") from error
    known = _known(key)
    return known, hashlib.sha256(known.public_bytes(_DER, _SPKI)).hexdigest()


def _known(key: object) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _CURVES:
        raise KeyUnavailableError(
            "a vendor's key is of another kind",
            expected="ECDSA P-256, P-384 or P-521",
            found=type(key).__name__,
        )
    return key


def _roots(trusted: Sequence[str]) -> list[x509.Certificate]:
    try:
        return [x509.load_pem_x509_certificate(pem.encode()) for pem in trusted]
    except ValueError as error:
        raise KeyUnavailableError("a vendor's root certificate is not in PEM") from error


def _with_certificates(
    material: Mapping[str, Any], trusted: Sequence[str]
) -> tuple[ec.EllipticCurvePublicKey, str]:
    """Return the key of the signing certificate, whose chain was verified, and the root's fingerprint.

    As in Model Signing, the chain is judged at the time from which the signing certificate is valid: signatures
    outlive certificates. Intermediates must be certificate authorities (RFC 5280).
    """
    roots, (leaf, *others) = _roots(trusted), _chain(material)
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(roots))
        .time(leaf.not_valid_before_utc.replace(tzinfo=None))
        .max_chain_depth(MAX_CHAIN)
        .extension_policies(
            ca_policy=verification.ExtensionPolicy.webpki_defaults_ca(),
            ee_policy=verification.ExtensionPolicy.permit_all(),
        )
        .build_client_verifier()
    )
    try:
        found = verifier.verify(leaf, others)
    except verification.VerificationError as error:
        raise SignatureError("the vendor's certificate does not lead to a trusted root") from error
    if not _may_sign(leaf):
        raise SignatureError("the vendor's certificate is not one for signatures")
    return _known(leaf.public_key()), found.chain[-1].fingerprint(hashes.SHA256()).hex()


def _chain(material: Mapping[str, Any]) -> list[x509.Certificate]:
    what = "vendor signature: certificates"
    holder = strict.member(material, "x509CertificateChain", dict, what)
    listed = strict.member(holder, "certificates", list, what)
    if not 1 <= len(listed) <= MAX_CHAIN:
        raise MalformedError(f"{what}: none, or too many", expected=f"1 to {MAX_CHAIN}")
    try:
        return [
            x509.load_der_x509_certificate(base64.b64decode(strict.member(item, "rawBytes", str, what)))
            for item in listed
        ]
    except ValueError as error:
        raise MalformedError(f"{what} are not in DER") from error


def _may_sign(leaf: x509.Certificate) -> bool:
    try:
        if leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
            return True
    except x509.ExtensionNotFound:
        pass
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.CODE_SIGNING in usage


# -- the file ------------------------------------------------------------------------------------------------------


def _parse(data: bytes) -> tuple[Mapping[str, Any], dsse.Envelope]:
    what = "vendor signature"
    document = strict.parse_any(data, limit=MAX_BYTES, what=what)
    if strict.member(document, "mediaType", str, what) != MEDIA_TYPE:
        raise MalformedError(f"{what} is not a Sigstore bundle of version 0.3", expected=MEDIA_TYPE)
    material = strict.member(document, "verificationMaterial", dict, what)
    inner = strict.format(strict.member(document, "dsseEnvelope", dict, what))
    envelope = dsse.parse(inner, limit=MAX_BYTES, what=what)
    if envelope.payload_type != PAYLOAD_TYPE or len(envelope.signatures) != 1:
        raise MalformedError(f"{what} is not one signature over an in-toto statement")
    return material, envelope


def _statement(envelope: dsse.Envelope) -> tuple[str, dict[str, str], tuple[str, ...]]:
    """Return the folder's name, the SHA-256 of each file, and the paths left out; the signature was verified."""
    what = "vendor statement"
    document = strict.parse_any(envelope.payload, limit=MAX_BYTES, what=what)
    kinds = (strict.member(document, "_type", str, what), strict.member(document, "predicateType", str, what))
    if kinds != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise MalformedError(f"{what} is not one of Model Signing v1.0", expected=PREDICATE_TYPE)
    predicate = strict.member(document, "predicate", dict, what)
    ignored = _serialization(strict.member(predicate, "serialization", dict, what), what)
    listed = strict.member(predicate, "resources", list, what)
    resources = {strict.member(item, "name", str, what): _digest(item, what) for item in listed}
    if len(resources) != len(listed) or not 1 <= len(listed) <= MAX_FILES:
        raise MalformedError(f"{what} lists a file twice, none, or too many")
    subjects = strict.member(document, "subject", list, what)
    if len(subjects) != 1:
        raise MalformedError(f"{what} has not one subject")
    whole = hashlib.sha256(b"".join(map(bytes.fromhex, resources.values()))).hexdigest()
    if fields.digest(strict.member(subjects[0], "digest", dict, what), "sha256", what, bits=256) != whole:
        raise MalformedError(f"{what}: its digest is not that of the files it lists")
    return fields.text({"name": "", **subjects[0]}, "name", what), resources, ignored


def _serialization(document: Mapping[str, Any], what: str) -> tuple[str, ...]:
    """Return the paths left out, after checking that files were digested as a whole with SHA-256."""
    method, digest = (
        strict.member(document, "method", str, what),
        strict.member(document, "hash_type", str, what),
    )
    if (method, digest) != ("files", "sha256"):
        raise KeyUnavailableError(
            "the vendor digested the files in a way that airlift does not know",
            expected="files, sha256",
            found=ascii(f"{method}, {digest}"[:80]),
            hint="ask the vendor for a signature over whole files with SHA-256",
        )
    ignored = strict.member({"ignore_paths": [], **document}, "ignore_paths", list, what)
    if len(ignored) > MAX_IGNORED or not all(type(path) is str and path for path in ignored):
        raise MalformedError(f"{what}: what it leaves out is no list of paths")
    return tuple(ignored)


def _digest(item: Any, what: str) -> str:
    if strict.member(item, "algorithm", str, what) != "sha256":
        raise MalformedError(f"{what}: a file is digested otherwise than it says")
    return fields.digest(item, "digest", what, bits=256)


def _compare(
    digests: Mapping[str, str],
    resources: Mapping[str, str],
    ignored: Sequence[str],
    own: str,
    may_lack: Callable[[str], bool],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Compare a folder with what was signed; return the files that the statement leaves out, and those it lacks.

    ``own`` is the SHA-256 of the signature file, which cannot vouch for itself.
    """
    left_out = tuple(
        path
        for path in sorted(set(digests) - set(resources))
        if digests[path] == own or _below(path, ignored)
    )
    present = sorted(set(digests) - set(left_out))
    if set(resources) == {WHOLE} and len(present) == 1:
        resources = {present[0]: resources[WHOLE]}
    lacking = tuple(path for path in sorted(set(resources) - set(present)) if may_lack(path))
    odd = sorted(set(present) ^ (set(resources) - set(lacking)))
    if odd or len(lacking) == len(resources):
        raise InventoryError(
            "the folder does not hold the files that the vendor signed",
            found=ascii(odd[0][:200]) if odd else "none of them",
        )
    for path in present:
        if digests[path] != resources[path]:
            raise DigestError(
                f"{path!a} is not the file that the vendor signed",
                expected=resources[path],
                found=digests[path],
            )
    return left_out, lacking


def _below(path: str, tops: Iterable[str]) -> bool:
    return any(path == top or path.startswith(f"{top}/") for top in tops)
