"""The vendor's own tool accepts what a delta import installed: ``model_signing`` signs before, and verifies after."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from airlift.high.import_ import import_
from airlift.low.release import release
from tests.compat.crossing import stack
from tests.support import keys
from tests.support.depots import NOW, RELEASERS, Site, signed_site
from tests.support.enclaves import fresh, operator
from tests.vectors.make_vendor import private_pem, public_pem


def vendored(site: Site, tool: str, version: str, base: str, key: ec.EllipticCurvePrivateKey) -> None:
    """Release ``base`` signed by its vendor, and a guard."""
    path = site.manifest(stack(base, "guard-2.0"), version)
    (path.parent / "private.pem").write_bytes(private_pem(key))
    (path.parent / "vendor.pub").write_text(public_pem(key))
    signature = path.parent / "model.sig"
    subprocess.run(
        [tool, "sign", "key", path.parent / "base", "--private_key", path.parent / "private.pem",
         "--signature", signature],
        check=True, capture_output=True,
    )  # fmt: skip
    document = yaml.safe_load(path.read_text())
    document["components"][0]["vendor_signature"] = {"path": "model.sig", "public_key": "vendor.pub"}
    path.write_text(yaml.safe_dump(document))
    release(site.depot, path, signers=[keys.signer(name) for name in RELEASERS[:2]], now=NOW)


def test_the_vendors_tool_accepts_what_a_delta_installed(
    tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    tool = require_tool(os.environ.get("AIRLIFT_MODEL_SIGNING", "model_signing"))
    site = signed_site(tmp_path)
    keys.write(site.keys, "ledger")
    key = ec.generate_private_key(ec.SECP256R1())
    vendored(site, tool, "1", "base-1.0", key)
    vendored(site, tool, "2", "base-1.1", key)
    place = fresh(tmp_path / "enclave", site)
    full = site.bundle("assistant@1", "full", from_="none")
    delta = site.bundle("assistant@2", "delta", from_="assistant@1")
    for bundle in (full, delta):
        import_(place, [item.path for item in bundle.volumes], operator=operator(), activate=True)
    assert delta.chunk_bytes < delta.target_bytes / 2
    folder = site.folder / "source-2"
    done = subprocess.run(
        [tool, "verify", "key", place.active / "base", "--public_key", folder / "vendor.pub",
         "--signature", folder / "model.sig"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
