"""An endpoint over TLS: what it is led to in the clear is not followed (SPEC L2.10d)."""

import datetime as dt
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airlift.errors import UncheckedError
from tests.support.hub_files import FILES, REPO, fetch
from tests.support.hub_server import HubServer

NAME = "model.safetensors"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for localhost that nobody signed but itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure(server: HubServer, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """The hub over TLS; the network that delivers for it is not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.hub.socket = context.wrap_socket(server.hub.socket, server_side=True)
    monkeypatch.setenv("HF_ENDPOINT", f"https://localhost:{server.hub.server_port}")
    return server


@pytest.fixture
def trusted(certificate: Path) -> Iterator[None]:
    """The library trusts that certificate."""
    import huggingface_hub

    session = huggingface_hub.get_session()
    context = ssl.create_default_context(cafile=str(certificate))
    kind = type(session)
    huggingface_hub.set_client_factory(lambda: kind(verify=context, timeout=None))
    try:
        yield
    finally:
        from huggingface_hub.utils._http import default_client_factory

        huggingface_hub.set_client_factory(default_client_factory)


@pytest.mark.usefixtures("trusted")
def test_files_over_tls(secure: HubServer, tmp_path: Path) -> None:
    commit = secure.repo(REPO).commit({"config.json": b"{}"})
    assert fetch(tmp_path / "cache", commit).paths["config.json"].read_bytes() == b"{}"


@pytest.mark.usefixtures("trusted")
def test_from_https_to_http_is_not_followed(secure: HubServer, tmp_path: Path) -> None:
    commit = secure.repo(REPO).commit(FILES)
    with pytest.raises(UncheckedError, match=f"{NAME} of {REPO} is led from https to http"):
        fetch(tmp_path / "cache", commit, include=[NAME])
    assert [one for one in secure.asked if one.host == "delivery"] == []


def test_a_certificate_that_nobody_vouches_for(secure: HubServer, tmp_path: Path) -> None:
    with pytest.raises(UncheckedError, match="cannot fetch") as caught:
        fetch(tmp_path / "cache", "0" * 40)
    assert "CERTIFICATE_VERIFY_FAILED" in (caught.value.found or "")
    assert secure.asked == []
