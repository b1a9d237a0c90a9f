"""Writes vendor/signatures.json: signatures that the ``model_signing`` command made, and what must become of them.

A case has a folder's files (``digests``: relative path to SHA-256), the signature file, what is trusted, and an
outcome: ``ok`` or the code of the error. Keys are made here and thrown away, so each run writes other vectors.
Run it with ``AIRLIFT_MODEL_SIGNING=/path/to/model_signing python -m tests.vectors.make_vendor``.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

FILE = Path(__file__).parent / "vendor" / "signatures.json"
FILES = {"config.json": b"{}", "weights/model.safetensors": b"\x00" * 100, ".gitattributes": b"*"}
CURVES: dict[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
Case = dict[str, Any]


def sha256(data: bytes) -> str:
    """Return SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def write_folder(folder: Path) -> Path:
    """Write the files of a small model."""
    for path, data in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a throw-away key as the command reads it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return the public half."""
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, spki).decode()


def run(*words: str | Path) -> None:
    """Run the ``model_signing`` command."""
    subprocess.run([os.environ["AIRLIFT_MODEL_SIGNING"], *map(str, words)], check=True, stdout=sys.stderr)


def sign(folder: Path, *words: str | Path, key: ec.EllipticCurvePrivateKey, method: str = "key") -> str:
    """Sign a folder; return the signature file."""
    private, signature = folder.parent / "private.pem", folder.parent / "model.sig"
    private.write_bytes(private_pem(key))
    run("sign", method, folder, "--private_key", private,
        "--signature", signature, *words)  # fmt: skip
    return signature.read_text()


def certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None,
    *,
    authority: bool = False,
    signs: bool = True,
) -> x509.Certificate:
    """Return a certificate that has expired long ago, as those of old signatures have."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    signer = issuer[1] if issuer else key
    usage = x509.KeyUsage(
        digital_signature=signs, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=authority, crl_sign=authority, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("vendor.example")]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    return builder.sign(signer, hashes.SHA256())


def pem(found: x509.Certificate) -> str:
    """Return a certificate in PEM."""
    return found.public_bytes(serialization.Encoding.PEM).decode()


def case(name: str, signature: str, trusted: list[str], outcome: str = "ok", **more: Any) -> Case:
    """Return one case; the folder is the one that was signed unless ``digests`` says otherwise."""
    digests = {path: sha256(data) for path, data in FILES.items()}
    return {"name": name, "method": "key", "digests": digests, "trusted": trusted, "signature": signature,
            "outcome": outcome, **more}  # fmt: skip


def restated(
    signature: str, change: Callable[[dict[str, Any]], Any], key: ec.EllipticCurvePrivateKey | None
) -> str:
    """Return a signature file whose statement was changed, signed anew if a key is given."""
    document = json.loads(signature)
    envelope = document["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    change(statement)
    payload = json.dumps(statement).encode()
    envelope["payload"] = base64.b64encode(payload).decode()
    if key is not None:
        kind = envelope["payloadType"]
        message = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload)
        signed = key.sign(message, ec.ECDSA(hashes.SHA256()))
        envelope["signatures"][0]["sig"] = base64.b64encode(signed).decode()
    return json.dumps(document)


def edited(signature: str, change: Callable[[dict[str, Any]], Any]) -> str:
    """Return a signature file that was changed around its statement."""
    document = json.loads(signature)
    change(document)
    return json.dumps(document)


def keys(folder: Path) -> Iterator[Case]:
    """Yield cases of the method ``key``."""
    for name, curve in CURVES.items():
        key = ec.generate_private_key(curve)
        yield case(name, sign(folder, key=key), [public_pem(key)])
    key, other = ec.generate_private_key(CURVES["P-256"]), ec.generate_private_key(CURVES["P-256"])
    good, trusted = sign(folder, key=key), [public_pem(key)]
    digests = {path: sha256(data) for path, data in FILES.items()}
    yield case("another key", good, [public_pem(other)], "signature-invalid")
    yield case("a key of RSA or none", good, ["-----BEGIN PUBLIC KEY-----\n"], "key-unavailable")
    yield case(
        "a changed file", good, trusted, "digest-mismatch", digests={**digests, "config.json": sha256(b"x")}
    )
    yield case(
        "a further file", good, trusted, "inventory-mismatch", digests={**digests, "x.json": sha256(b"x")}
    )
    lacking = {path: digest for path, digest in digests.items() if path != "config.json"}
    yield case("a missing file", good, trusted, "inventory-mismatch", digests=lacking)
    yield case("files of git are left out", good, trusted, digests={**digests, ".git/HEAD": sha256(b"x")})
    own = {**digests, "model.sig": sha256(good.encode())}
    yield case("the signature itself lies there", good, trusted, digests=own)
    yield case("a git folder further down", good, trusted, "inventory-mismatch",
               digests={**digests, "weights/.git": sha256(b"x")})  # fmt: skip
    yield from _restated(good, key, trusted)
    yield from _edited(good, trusted)
    yield from _accepted(good, trusted)
    yield from _one_file(good, key, trusted)


def _restated(good: str, key: ec.EllipticCurvePrivateKey, trusted: list[str]) -> Iterator[Case]:
    def predicate(**changes: Any) -> Callable[[dict[str, Any]], Any]:
        return lambda statement: statement["predicate"].update(changes)

    def serialization_(**changes: Any) -> Callable[[dict[str, Any]], Any]:
        return lambda statement: statement["predicate"]["serialization"].update(changes)

    yield case(
        "tampered statement", restated(good, lambda s: s.update(x=1), None), trusted, "signature-invalid"
    )
    yield case("signed anew", restated(good, lambda _: None, key), trusted)
    for name, change, outcome in (
        ("no resources", predicate(resources=[]), "malformed"),
        (
            "a file twice",
            lambda s: s["predicate"]["resources"].append(s["predicate"]["resources"][0]),
            "malformed",
        ),
        (
            "another algorithm",
            lambda s: s["predicate"]["resources"][0].update(algorithm="blake2b"),
            "malformed",
        ),
        ("shards", serialization_(method="shards"), "key-unavailable"),
        ("blake3", serialization_(hash_type="blake3"), "key-unavailable"),
        ("ignored paths of another type", serialization_(ignore_paths=[1]), "malformed"),
        ("another type", lambda s: s.update(_type="x"), "malformed"),
        (
            "the format before 1.0",
            lambda s: s.update(predicateType="https://model_signing/Digests/v0.1"),
            "malformed",
        ),
        ("two subjects", lambda s: s["subject"].append(s["subject"][0]), "malformed"),
        ("another digest", lambda s: s["subject"][0]["digest"].update(sha256="0" * 64), "malformed"),
    ):
        yield case(name, restated(good, change, key), trusted, outcome)


def _edited(good: str, trusted: list[str]) -> Iterator[Case]:
    for name, change in (
        ("another media type", lambda d: d.update(mediaType="application/json")),
        ("no envelope", lambda d: d.pop("dsseEnvelope")),
        (
            "two signatures",
            lambda d: d["dsseEnvelope"]["signatures"].append(d["dsseEnvelope"]["signatures"][0]),
        ),
        ("another payload type", lambda d: d["dsseEnvelope"].update(payloadType="text/plain")),
        ("no verification material", lambda d: d.pop("verificationMaterial")),
        ("no public key", lambda d: d["verificationMaterial"].pop("publicKey")),
        ("a key id that is a number", lambda d: d["dsseEnvelope"]["signatures"][0].update(keyid=1)),
    ):
        yield case(name, edited(good, change), trusted, "malformed")
    yield case("no JSON", good[:-1], trusted, "malformed")


def _accepted(good: str, trusted: list[str]) -> Iterator[Case]:
    """Yield what a verifier must accept (Model Signing 11.1): what other versions and tools write."""

    def line(document: dict[str, Any]) -> Any:
        return document["dsseEnvelope"]["signatures"][0]

    raw = {"rawBytes": "AAAA", "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
    for name, change in (
        ("a key id of null", lambda d: line(d).update(keyid=None)),
        ("an empty key id", lambda d: line(d).update(keyid="")),
        ("no key id", lambda d: line(d).pop("keyid", None)),
        ("another key id", lambda d: line(d).update(keyid="x")),
        (
            "the public key's bytes instead of a hint",
            lambda d: d["verificationMaterial"].update(publicKey=raw),
        ),
        ("no entries of a log", lambda d: d["verificationMaterial"].pop("tlogEntries", None)),
    ):
        yield case(name, edited(good, change), trusted)
    keyless = edited(good, lambda d: d.update(verificationMaterial={"certificate": {"rawBytes": "AAAA"}}))
    yield case("a keyless signature", keyless, trusted, "key-unavailable")


def _one_file(good: str, key: ec.EllipticCurvePrivateKey, trusted: list[str]) -> Iterator[Case]:
    """Yield statements about a model of one file, and such as do not say what they leave out."""
    content = sha256(b"one")

    def about(*names: str, **changes: Any) -> str:
        def change(statement: dict[str, Any]) -> None:
            whole = sha256(bytes.fromhex(content) * len(names))
            statement["subject"] = [{"name": "one.safetensors", "digest": {"sha256": whole}}]
            statement["predicate"] = {
                "resources": [{"name": name, "algorithm": "sha256", "digest": content} for name in names],
                "serialization": {
                    "method": "files",
                    "hash_type": "sha256",
                    "allow_symlinks": False,
                    **changes,
                },
            }

        return restated(good, change, key)

    one = {"one.safetensors": content}
    yield case("one file", about("one.safetensors"), trusted, digests=one)
    yield case("one file without a name", about("."), trusted, digests=one)
    yield case("another file without a name", about("."), trusted, "digest-mismatch",
               digests={"one.safetensors": sha256(b"two")})  # fmt: skip
    yield case("two files, of which one has no name", about("."), trusted, "inventory-mismatch",
               digests={**one, "two.safetensors": content})  # fmt: skip
    yield case("no name beside a name", about(".", "one.safetensors"), trusted, "inventory-mismatch",
               digests=one)  # fmt: skip
    extra = {**one, ".gitattributes": sha256(b"*"), ".github/x": sha256(b"x")}
    yield case(
        "files of git that the statement does not name", about("one.safetensors"), trusted, digests=extra
    )
    named = about("one.safetensors", ".gitattributes")
    yield case("a file of git that is listed", named, trusted, "digest-mismatch", digests=extra)


def certificates(folder: Path) -> Iterator[Case]:
    """Yield cases of the method ``certificate``: root, intermediate, and who signs."""
    top, middle, leaf, stranger = (ec.generate_private_key(CURVES["P-384"]) for _ in range(4))
    root = certificate("Root", top, authority=True, signs=False)
    between = certificate("Between", middle, (root, top), authority=True, signs=False)
    other = certificate("Other", stranger, authority=True, signs=False)

    def signed(end: x509.Certificate, chain: x509.Certificate) -> str:
        paths = [folder.parent / "leaf.pem", folder.parent / "chain.pem"]
        for path, found in zip(paths, (end, chain), strict=True):
            path.write_text(pem(found))
        return sign(folder, "--signing_certificate", paths[0], "--certificate_chain", paths[1],
                    key=leaf, method="certificate")  # fmt: skip

    good = signed(certificate("Vendor", leaf, (between, middle)), between)
    by = {"method": "certificate"}
    yield case("a chain of certificates", good, [pem(root)], **by)
    yield case("one of two roots", good, [pem(other), pem(root)], **by)
    yield case("another root", good, [pem(other)], "signature-invalid", **by)
    yield case("no root", good, ["x"], "key-unavailable", **by)
    yield case("a chain where a key is expected", good, [public_pem(leaf)], "malformed")
    null = edited(good, lambda d: d["dsseEnvelope"]["signatures"][0].update(keyid=None))
    yield case("a chain of certificates, a key id of null", null, [pem(root)], **by)
    idle = signed(certificate("Vendor", leaf, (between, middle), signs=False), between)
    yield case("not for signatures", idle, [pem(root)], "signature-invalid", **by)
    plain = certificate("Between", middle, (root, top), signs=True)
    odd = signed(certificate("Vendor", leaf, (plain, middle)), plain)
    yield case("an intermediate that is no authority", odd, [pem(root)], "signature-invalid", **by)
    for name, value in (("no chain", []), ("a chain of noise", [{"rawBytes": "AAAA"}])):
        chain = {"x509CertificateChain": {"certificates": value}}
        broken = edited(good, lambda d, chain=chain: d.update(verificationMaterial=chain))  # type: ignore[misc]
        yield case(name, broken, [pem(root)], "malformed", **by)


def main() -> None:
    """Write the vectors."""
    with tempfile.TemporaryDirectory() as place:
        folder = write_folder(Path(place) / "model")
        cases = [*keys(folder), *certificates(folder)]
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
