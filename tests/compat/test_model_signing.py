"""The vendor's own tool accepts what a delta import installed: ``model_signing`` signs before, and verifies after."""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from airlift.errors import SignatureError
from airlift.high.importing.import_bundle import import_bundle
from airlift.low.release.make_release import make_release
from airlift.trust.statements import model_signing as signatures
from tests.compat.crossing import stack
from tests.support import keys
from tests.support.depots import NOW, RELEASERS, Site, signed_site
from tests.support.enclaves import fresh, operator
from tests.vectors.make_vendor import certificate, pem, private_pem, public_pem

METHODS = ("key", "certificate")


@dataclass(frozen=True)
class Vendor:
    """Somebody who signs models by one method: the files that the tool signs with, and what others trust."""

    method: str
    tool: str
    folder: Path

    def make(self) -> None:
        """Write keys, and for the method ``certificate`` a chain: root, intermediate, who signs."""
        self.folder.mkdir()
        key, top, middle = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        (self.folder / "private.pem").write_bytes(private_pem(key))
        (self.folder / "key.pub").write_text(public_pem(key))
        root = certificate("Root", top, authority=True, signs=False)
        between = certificate("Between", middle, (root, top), authority=True, signs=False)
        (self.folder / "root.pem").write_text(pem(root))
        (self.folder / "between.pem").write_text(pem(between))
        (self.folder / "leaf.pem").write_text(pem(certificate("Vendor", key, (between, middle))))

    def run(
        self, verb: str, model: Path, signature: Path, **options: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the tool over a model's folder; options name files of this vendor."""
        given = [word for name, file in options.items() for word in (f"--{name}", self.folder / file)]
        return subprocess.run(
            [self.tool, verb, self.method, model, "--signature", signature, *given],
            check=False, capture_output=True, text=True,
        )  # fmt: skip

    def sign(self, model: Path, signature: Path) -> None:
        """Sign a model."""
        chain = {"signing_certificate": "leaf.pem", "certificate_chain": "between.pem"}
        done = self.run(
            "sign",
            model,
            signature,
            private_key="private.pem",
            **(chain if self.method == "certificate" else {}),
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def accepts(self, model: Path, signature: Path) -> bool:
        """Say whether the tool verifies a model."""
        trust = {"public_key": "key.pub"} if self.method == "key" else {"certificate_chain": "root.pem"}
        return self.run("verify", model, signature, **trust).returncode == 0

    def stated(self) -> dict[str, object]:
        """Return what a release manifest says of this vendor's signature."""
        if self.method == "key":
            return {"path": "model.sig", "public_key": "../../vendor/key.pub"}
        return {"path": "model.sig", "certificates": ["../../vendor/root.pem"]}


@pytest.fixture(params=METHODS)
def vendor(request: pytest.FixtureRequest, tmp_path: Path, require_tool: Callable[[str], str]) -> Vendor:
    """Return a vendor who signs by each method in turn."""
    tool = require_tool(os.environ.get("AIRLIFT_MODEL_SIGNING", "model_signing"))
    made = Vendor(request.param, tool, tmp_path / "vendor")
    made.make()
    return made


def vendored(site: Site, vendor: Vendor, version: str, base: str) -> Path:
    """Release ``base`` signed by its vendor, and a guard; return the folder of what was released."""
    path = site.manifest(stack(base, "guard-2.0"), version)
    vendor.sign(path.parent / "base", path.parent / "model.sig")
    document = yaml.safe_load(path.read_text())
    document["components"][0]["vendor_signature"] = vendor.stated()
    path.write_text(yaml.safe_dump(document))
    make_release(site.depot, path, signers=[keys.signer(name) for name in RELEASERS[:2]], now=NOW)
    return path.parent


def test_the_vendors_tool_accepts_what_a_delta_installed(tmp_path: Path, vendor: Vendor) -> None:
    site = signed_site(tmp_path)
    keys.write(site.keys, "ledger")
    vendored(site, vendor, "1", "base-1.0")
    folder = vendored(site, vendor, "2", "base-1.1")
    place = fresh(tmp_path / "enclave", site)
    full = site.bundle("assistant@1", "full", from_="none")
    delta = site.bundle("assistant@2", "delta", from_="assistant@1")
    for bundle in (full, delta):
        import_bundle(place, [item.path for item in bundle.volumes], operator=operator(), activate=True)
    assert delta.chunk_bytes < delta.target_bytes / 2
    assert vendor.accepts(place.active / "base", folder / "model.sig")
    assert not vendor.accepts(place.active / "guard", folder / "model.sig")
    with place.ledger() as log:
        said = [e.detail["vendor_signatures"] for e in log.entries(types=("import-commit",))]
    assert [(item["component"], item["method"]) for (item,) in said] == [("base", vendor.method)] * 2


def test_a_model_that_its_vendor_did_not_sign_is_refused(tmp_path: Path, vendor: Vendor) -> None:
    site = signed_site(tmp_path)
    path = site.manifest(stack("base-1.0", "guard-2.0"), "1")
    stranger = Vendor(vendor.method, vendor.tool, tmp_path / "stranger")
    stranger.make()
    stranger.sign(path.parent / "base", path.parent / "model.sig")
    document = yaml.safe_load(path.read_text())
    document["components"][0]["vendor_signature"] = vendor.stated()
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(SignatureError):
        make_release(site.depot, path, signers=[keys.signer(name) for name in RELEASERS[:2]], now=NOW)
    assert not vendor.accepts(path.parent / "base", path.parent / "model.sig")


def test_both_accept_a_signature_without_a_key_id(tmp_path: Path, vendor: Vendor) -> None:
    """Versions of the tool before 1.1 wrote ``"keyid": null``, which airlift used to refuse."""
    model, signature = tmp_path / "model", tmp_path / "model" / "model.sig"
    model.mkdir()
    for name in ("weights.safetensors", ".gitattributes"):
        (model / name).write_bytes(name.encode())
    vendor.sign(model, signature)
    stated = vendor.stated().get("public_key", "root.pem")
    trusted = (vendor.folder / Path(str(stated)).name).read_text()
    for hint in ({}, {"keyid": ""}, {"keyid": None}):
        document = json.loads(signature.read_text())
        (line,) = document["dsseEnvelope"]["signatures"]
        document["dsseEnvelope"]["signatures"] = [{"sig": line["sig"], **hint}]
        signature.write_text(json.dumps(document))
        assert vendor.accepts(model, signature)
        files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in model.iterdir()}
        found = signatures.verify_model(signature.read_bytes(), files, vendor.method, [trusted])
        assert found.ignored == (".gitattributes", "model.sig")
