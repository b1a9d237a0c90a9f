"""Check a vendor's own signature over what was gathered for a component (SPEC 5.5)."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from airlift import files
from airlift.bundle import patterns
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.component.vendor_signature import MAX_PEM, VendorSignature
from airlift.bundle.patterns import LeftOut
from airlift.errors import AirliftError, ManifestError
from airlift.trust.statements import model_signing


@dataclass(frozen=True, slots=True)
class CheckedSignature:
    """A vendor's signature that was verified: as the release manifest states it, and the signature file itself."""

    stated: VendorSignature
    data: bytes


def check_vendor_signature(
    item: Mapping[str, Any], folder: Path, entries: Sequence[FileEntry]
) -> CheckedSignature | None:
    """Return the verified vendor signature that an authored component names, if any; ``folder`` is the manifest's.

    Raises:
        SignatureError, DigestError, InventoryError, MalformedError: the vendor did not sign these files.
        KeyUnavailableError: the key or certificate cannot be used.
        UncheckedError: a file cannot be read.
    """
    authored = item.get("vendor_signature")
    if authored is None:
        return None
    method = model_signing.KEY if "public_key" in authored else model_signing.CERTIFICATE
    names = [authored["public_key"]] if method == model_signing.KEY else authored["certificates"]
    trusted = tuple(_pem(folder / name) for name in names)
    data = files.read_bounded(folder / authored["path"], model_signing.MAX_BYTES)
    try:
        found = model_signing.verify_model(
            data,
            {entry.path: entry.sha256 for entry in entries},
            method,
            trusted,
            partial(patterns.may_lack, item["source"]),
        )
    except AirliftError as error:
        error.message = f"component {item['name']}: {error.message}"
        error.hint = "do not release it: fetch the component and its signature from the vendor again"
        raise
    lacking = LeftOut.of(found.lacking)
    stated = VendorSignature(
        method=method,
        sha512=hashlib.sha512(data).hexdigest(),
        size=len(data),
        trusted=trusted,
        listed=found.listed if lacking else 0,
        left_out=lacking,
    )
    return CheckedSignature(stated, data)


def _pem(path: Path) -> str:
    try:
        return files.read_bounded(path, MAX_PEM).decode("ascii")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path} is not in PEM", expected="one public key, or one certificate") from error
