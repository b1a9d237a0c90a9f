"""Keys: two schemes, canonical public keys, private keys that open only with their passphrase."""

import base64
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from securesystemslib.signer._crypto_signer import CryptoSigner

from airlift import files
from airlift.errors import (
    ExistsError,
    KeyUnavailableError,
    MalformedError,
    PermissionDeniedError,
    SignatureError,
    StorageError,
    UsageError,
)
from airlift.trust.keys.file import FileSigner, generate, write_key_pair
from airlift.trust.keys.load import load_signer
from airlift.trust.keys.public import (
    ECDSA_P384,
    MAX_KEY_FILE_BYTES,
    MAX_SIGNATURE_BYTES,
    SCHEMES,
    PublicKey,
    load_public,
)

PEM, SPKI = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo


@pytest.fixture(params=SCHEMES)
def signer(request: pytest.FixtureRequest) -> FileSigner:
    return generate(request.param)


def weak_handles() -> list[tuple[str, object]]:
    return [
        ("ed25519", ed25519.Ed25519PrivateKey.generate()),
        ("rsa", rsa.generate_private_key(65537, 2048)),
        ("p256", ec.generate_private_key(ec.SECP256R1())),
        ("p521", ec.generate_private_key(ec.SECP521R1())),
        ("ml-dsa-44", mldsa.MLDSA44PrivateKey.generate()),
        ("ml-dsa-65", mldsa.MLDSA65PrivateKey.generate()),
    ]


def test_a_signature_verifies_over_its_message_only(signer: FileSigner) -> None:
    signature = signer.sign(b"message")
    signer.public.verify(signature, b"message")
    assert len(signature) <= MAX_SIGNATURE_BYTES[signer.public.scheme]
    for wrong, message in ((signature, b"massage"), (signature[:-1], b"message"), (b"", b"message")):
        with pytest.raises(SignatureError):
            signer.public.verify(wrong, message)
    with pytest.raises(SignatureError):
        generate(signer.public.scheme).public.verify(signature, b"message")


def test_public_key_round_trips_through_pem(signer: FileSigner) -> None:
    again = PublicKey.from_pem(signer.public.pem())
    assert again == signer.public
    assert again.pem() == signer.public.pem()
    assert len(again.fingerprint) == 96


@pytest.mark.parametrize(
    "theirs",
    [
        CryptoSigner.generate_mldsa(scheme="ml-dsa-87/1"),
        CryptoSigner.generate_ecdsa(scheme="ecdsa-sha2-nistp384"),
    ],
    ids=SCHEMES,
)
def test_key_id_is_the_one_of_securesystemslib(theirs: CryptoSigner) -> None:
    ours = PublicKey.from_pem(theirs.public_key.keyval["public"].encode())
    assert ours.key_id == theirs.public_key.keyid
    assert ours.tuf() == theirs.public_key.to_dict()


def test_two_spellings_of_a_point_are_one_key() -> None:
    handle = ec.generate_private_key(ec.SECP384R1()).public_key()
    point = handle.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    canonical = PublicKey.from_handle(handle)
    compressed = bytes.fromhex("3046301006072a8648ce3d020106052b81040022033200") + point
    pem = b"-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n" % base64.b64encode(compressed)
    assert PublicKey.from_pem(pem) == canonical
    with pytest.raises(MalformedError, match="canonical"):
        PublicKey(ECDSA_P384, compressed)


@pytest.mark.parametrize(("name", "handle"), weak_handles(), ids=[name for name, _ in weak_handles()])
def test_other_algorithms_are_refused(name: str, handle: object, tmp_path: Path) -> None:
    """THREATS: unknown, weak or downgraded algorithms."""
    public = handle.public_key().public_bytes(PEM, SPKI)  # type: ignore[attr-defined]
    with pytest.raises(KeyUnavailableError, match="does not accept"):
        PublicKey.from_pem(public)
    path = tmp_path / f"{name}.key"
    private = handle.private_bytes(  # type: ignore[attr-defined]
        PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private)
    with pytest.raises(KeyUnavailableError, match="does not accept"):
        load_signer(str(path))


def test_a_public_key_of_another_scheme_is_malformed(signer: FileSigner) -> None:
    other = next(scheme for scheme in SCHEMES if scheme != signer.public.scheme)
    with pytest.raises(MalformedError):
        PublicKey(other, signer.public.spki)
    ed = ed25519.Ed25519PrivateKey.generate().public_key()
    for spki in (
        b"",
        signer.public.spki + b"\0",
        signer.public.spki[:-1],
        ed.public_bytes(serialization.Encoding.DER, SPKI),
    ):
        with pytest.raises(MalformedError):
            PublicKey(signer.public.scheme, spki)


@pytest.mark.parametrize(
    "data", [b"", b"not a key", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
)
def test_what_is_no_pem_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        PublicKey.from_pem(data)


def test_a_huge_public_key_file_is_not_parsed(signer: FileSigner) -> None:
    with pytest.raises(MalformedError, match="too long"):
        PublicKey.from_pem(signer.public.pem() + b"\n" * MAX_KEY_FILE_BYTES)


def test_a_curve_that_nobody_knows_is_unavailable(tmp_path: Path) -> None:
    """THREATS: unknown, weak or downgraded algorithms (a curve that the library does not implement)."""
    handle = ec.generate_private_key(ec.SECP384R1())
    der = serialization.Encoding.DER
    private = handle.private_bytes(der, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = handle.public_key().public_bytes(der, SPKI)
    p384, secp112r1 = bytes.fromhex("2b81040022"), bytes.fromhex("2b81040006")
    with pytest.raises(KeyUnavailableError, match="does not accept"):
        PublicKey.from_pem(pem("PUBLIC", public.replace(p384, secp112r1)))
    path = tmp_path / "odd.key"
    path.write_bytes(pem("PRIVATE", private.replace(p384, secp112r1)))
    with pytest.raises(KeyUnavailableError, match="does not accept"):
        load_signer(str(path))


def pem(kind: str, der: bytes) -> bytes:
    return b"-----BEGIN %b KEY-----\n%b\n-----END %b KEY-----\n" % (
        kind.encode(),
        base64.b64encode(der),
        kind.encode(),
    )


def test_a_key_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_path: object, _limit: int) -> bytes:
        raise PermissionDeniedError("denied")

    monkeypatch.setattr(files, "read_bounded", denied)
    with pytest.raises(PermissionDeniedError):
        load_public(tmp_path / "x.pub")


def test_key_pair_on_disk(signer: FileSigner, tmp_path: Path) -> None:
    private, public = write_key_pair(signer, tmp_path / "new", "anna", None)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(public.stat().st_mode) == 0o644
    assert load_public(public) == signer.public
    loaded = load_signer(str(private))
    signer.public.verify(loaded.sign(b"x"), b"x")
    assert loaded.public == signer.public
    with pytest.raises(ExistsError):
        write_key_pair(signer, tmp_path / "new", "anna", None)


def test_an_encrypted_key_opens_with_its_passphrase_only(signer: FileSigner, tmp_path: Path) -> None:
    private, _ = write_key_pair(signer, tmp_path, "anna", b"correct horse")
    asked: list[str] = []

    def right(path: str) -> bytes:
        asked.append(path)
        return b"correct horse"

    assert load_signer(str(private), right).public == signer.public
    assert asked == [str(private)]
    with pytest.raises(KeyUnavailableError, match="passphrase is wrong"):
        load_signer(str(private), lambda _path: b"wrong")
    for missing in (None, lambda _path: None, lambda _path: b""):
        with pytest.raises(KeyUnavailableError, match="is encrypted"):
            load_signer(str(private), missing)
    with pytest.raises(UsageError, match="empty"):
        signer.private_pem(b"")


def test_an_unencrypted_key_never_asks(tmp_path: Path) -> None:
    private, _ = write_key_pair(generate(), tmp_path, "anna", None)

    def never(_path: str) -> bytes:
        raise AssertionError

    load_signer(str(private), never)


def test_key_files_that_cannot_be_used(tmp_path: Path) -> None:
    private, public = write_key_pair(generate(), tmp_path, "anna", None)
    with pytest.raises(KeyUnavailableError, match="is a public key"):
        load_signer(str(public))
    with pytest.raises(KeyUnavailableError, match="is a private key"):
        load_public(private)
    with pytest.raises(KeyUnavailableError, match="cannot read"):
        load_signer(str(tmp_path / "missing.key"))
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(KeyUnavailableError, match="no private key"):
        load_signer(str(tmp_path / "junk"))
    (tmp_path / "huge").write_bytes(b"\n" * (MAX_KEY_FILE_BYTES + 1))
    with pytest.raises(KeyUnavailableError):
        load_signer(str(tmp_path / "huge"))
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(KeyUnavailableError):
        load_public(tmp_path / "loop")


def test_a_key_file_may_be_a_link(tmp_path: Path) -> None:
    private, _ = write_key_pair(generate(), tmp_path, "anna", None)
    (tmp_path / "link").symlink_to(private)
    load_signer(str(tmp_path / "link"))


def test_nothing_is_left_behind_when_the_second_file_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = files.write_durable

    def failing(path: Path, data: bytes, *, mode: int, replace: bool) -> None:
        if path.suffix == ".pub":
            raise StorageError("no")
        real(path, data, mode=mode, replace=replace)

    monkeypatch.setattr(files, "write_durable", failing)
    with pytest.raises(StorageError):
        write_key_pair(generate(), tmp_path, "anna", None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", "a b", "x" * 65])
def test_a_key_name_is_one_portable_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a name"):
        write_key_pair(generate(), tmp_path, name, None)


def test_unknown_scheme() -> None:
    with pytest.raises(UsageError, match="unknown key scheme"):
        generate("rsa")


def test_a_private_key_is_not_printed(signer: FileSigner) -> None:
    assert "spki" not in repr(signer)
    assert "PRIVATE" not in repr(signer)
    assert "_handle" not in repr(signer)
