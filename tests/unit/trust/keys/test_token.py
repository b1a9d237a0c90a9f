"""Keys on a PKCS#11 token, against a real one (SoftHSM)."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airlift.errors import KeyUnavailableError, SignatureError, UsageError
from airlift.trust.keys import token
from airlift.trust.keys.file import generate, write_key_pair
from airlift.trust.keys.load import load_signer
from airlift.trust.keys.public import MAX_SIGNATURE_BYTES

MODULES = [
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/lib64/softhsm/libsofthsm2.so"),
    Path("/usr/lib64/pkcs11/libsofthsm2.so"),
    Path("/usr/local/lib/softhsm/libsofthsm2.so"),
    Path("/opt/homebrew/lib/softhsm/libsofthsm2.so"),
]
PIN = "4321"


@dataclass
class Hsm:
    module: Path
    pin_file: Path

    def uri(self, path: str = "token=airlift;object=bundler", query: str = "") -> str:
        return f"pkcs11:{path}?module-path={self.module}{query}"


@pytest.fixture(scope="module")
def hsm(require_tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A fresh token with the P-384 key `bundler` (id 01), the P-256 key `weak` and a key without a public half."""
    program = require_tool("softhsm2-util")
    module = next((path for path in MODULES if path.exists()), None)
    if module is None or importlib.util.find_spec("pkcs11") is None:
        pytest.skip("the SoftHSM module or python-pkcs11 is not installed")
    folder = tmp_path_factory.mktemp("hsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    (folder / "pin").write_text(PIN + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        arguments = ["--init-token", "--free", "--label", "airlift", "--pin", PIN, "--so-pin", "8765"]
        subprocess.run([program, *arguments], check=True, capture_output=True)
        fill(module)
        yield Hsm(module, folder / "pin")


def fill(module: Path) -> None:
    import pkcs11
    from pkcs11.util.ec import encode_named_curve_parameters

    with pkcs11.lib(str(module)).get_token(token_label="airlift").open(rw=True, user_pin=PIN) as session:
        for label, curve, key_id in (
            ("bundler", "secp384r1", b"\x01"),
            ("weak", "secp256r1", b"\x02"),
            ("lone", "secp384r1", b"\x03"),
            ("mixed", "secp384r1", b"\x04"),
        ):
            parameters = session.create_domain_parameters(
                pkcs11.KeyType.EC,
                {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(curve)},
                local=True,
            )
            public, _ = parameters.generate_keypair(store=True, label=label, id=key_id)
            if label in {"lone", "mixed"}:
                public.destroy()
            if label == "mixed":
                other, _ = parameters.generate_keypair(store=True, label="mixed", id=b"\x05")
                del other
                session.get_key(
                    object_class=pkcs11.ObjectClass.PRIVATE_KEY, label="mixed", id=b"\x05"
                ).destroy()


def ask(_source: str) -> bytes:
    return PIN.encode()


def test_a_token_signs_like_a_file(hsm: Hsm) -> None:
    signer = load_signer(hsm.uri(), ask)
    assert signer.public.scheme == "ecdsa-p384"
    signature = signer.sign(b"message")
    signer.public.verify(signature, b"message")
    with pytest.raises(SignatureError):
        signer.public.verify(signature, b"massage")
    assert len(signature) <= MAX_SIGNATURE_BYTES["ecdsa-p384"]
    assert PIN not in repr(signer)


def test_a_key_is_named_by_its_id_as_well(hsm: Hsm) -> None:
    by_label, by_id = token.load_token(hsm.uri(), ask), token.load_token(hsm.uri("token=airlift;id=%01"), ask)
    assert by_label.public == by_id.public
    by_label.sign(b"one")
    by_id.sign(b"two")


def test_the_pin_may_be_in_a_file(hsm: Hsm, monkeypatch: pytest.MonkeyPatch) -> None:
    for prefix in ("", "file:", "file://"):
        token.load_token(hsm.uri(query=f"&pin-source={prefix}{hsm.pin_file}")).sign(b"x")
    monkeypatch.setenv(token.MODULE_VARIABLE, str(hsm.module))
    token.load_token(f"pkcs11:token=airlift;object=bundler;type=private?pin-source={hsm.pin_file}")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("token=other;object=bundler", ""),
        ("object=bundler", ""),  # ambiguous: SoftHSM always has a second, empty token
        ("token=airlift;object=missing", ""),
        ("token=airlift;object=weak", ""),
        ("token=airlift;object=lone", ""),
        ("token=airlift;object=bundler", "&pin-source=/nonexistent/pin"),
    ],
)
def test_what_the_token_does_not_have(path: str, query: str, hsm: Hsm) -> None:
    with pytest.raises(KeyUnavailableError):
        token.load_token(hsm.uri(path, query), ask)


@pytest.mark.parametrize("pin", [b"0000", b"", None, b"\xff"])
def test_a_pin_that_does_not_open(pin: bytes | None, hsm: Hsm) -> None:
    with pytest.raises(KeyUnavailableError):
        token.load_token(hsm.uri(), lambda _source: pin)
    with pytest.raises(KeyUnavailableError, match="PIN"):
        token.load_token(hsm.uri())


def test_a_public_key_that_belongs_to_another_private_key(hsm: Hsm) -> None:
    signer = token.load_token(hsm.uri("token=airlift;object=mixed"), ask)
    with pytest.raises(KeyUnavailableError, match="belong together"):
        signer.sign(b"x")


@pytest.mark.parametrize(
    "uri",
    [
        "pkcs11:",
        "pkcs11:token=airlift",
        "pkcs11:object=a;object=b",
        "pkcs11:object=a;colour=red",
        "pkcs11:object",
        "pkcs11:object=a;type=cert",
        "pkcs11:object=a?pin-value=1234",
        "pkcs11:object=a?module-name=x",
        "file:object=a",
    ],
)
def test_a_uri_that_makes_no_sense(uri: str) -> None:
    with pytest.raises(UsageError):
        token.parse(uri)


def test_a_uri_is_percent_decoded() -> None:
    uri = token.parse(
        "pkcs11:token=my%20token;object=a%3Bb;id=%00%ff;serial=12?module-path=/m.so&pin-source=/p"
    )
    assert (uri.token, uri.label, uri.key, uri.serial) == ("my token", "a;b", b"\x00\xff", b"12")
    assert (uri.module, uri.pin_source) == ("/m.so", "/p")


def test_a_token_needs_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pkcs11")
    monkeypatch.delenv(token.MODULE_VARIABLE, raising=False)
    with pytest.raises(KeyUnavailableError, match="no PKCS#11 module"):
        token.load_token("pkcs11:object=a", ask)
    with pytest.raises(KeyUnavailableError, match="cannot be used"):
        token.load_token("pkcs11:object=a?module-path=/nonexistent.so", ask)


def test_a_token_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(KeyUnavailableError, match="python-pkcs11") as caught:
        load_signer("pkcs11:object=a?module-path=/m.so", ask)
    assert "hsm" in caught.value.hint


def test_files_still_load(tmp_path: Path) -> None:
    private, _ = write_key_pair(generate(), tmp_path, "a", None)
    load_signer(str(private)).sign(b"x")
