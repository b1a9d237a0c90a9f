"""What a volume says of itself (6.4): its index, its sums and its label."""

import re
from typing import Any

from tests.second import strict
from tests.second.documents import bundle, fields
from tests.second.errors import demand

LIMIT = 64 << 10
SUMS_LIMIT = 64 << 20


def parse(data: bytes) -> dict[str, Any]:
    """Parse ``volume.json``.

    Raises:
        Refused: ``malformed``, or ``format-too-new``.
    """
    value = strict.document(data, "volume", LIMIT)
    fields.members(value, "airlift type bundle manifest volume volumes chunks chunk_bytes sums")
    name = fields.matching(value["bundle"], rf"{fields.ENCLAVE}-[1-9][0-9]{{0,9}}")
    demand(int(name.rpartition("-")[2]) <= fields.SEQUENCE_LIMIT, "a sequence out of range")
    fields.digest(value["manifest"])
    fields.digest(value["sums"])
    fields.integer(value["volume"], 1, fields.integer(value["volumes"], 1, 99))
    fields.integer(value["chunks"], 0)
    fields.integer(value["chunk_bytes"], 0)
    return value


def parse_sums(data: bytes) -> dict[str, str]:
    """Parse ``SHA256SUMS``: SHA-256 by path, sorted by path.

    Raises:
        Refused: ``malformed``.
    """
    demand(
        len(data) <= SUMS_LIMIT and data.endswith(b"\n") and data.isascii(), "sums that are no lines of ASCII"
    )
    sums: dict[str, str] = {}
    for text in data.decode().removesuffix("\n").split("\n"):
        found = re.fullmatch(r"([0-9a-f]{64})  ((?:[A-Za-z0-9._-]{1,69}/)?[A-Za-z0-9._-]{1,69})", text)
        demand(found, f"a line of sums {text!r:.120}")
        assert found is not None
        demand(found[2] not in sums, "a path twice")
        sums[found[2]] = found[1]
    fields.ascending(list(sums))
    return sums


def label(manifest: dict[str, Any], volume: int, volumes: int) -> bytes:
    """Render ``LABEL.txt`` from the signed manifest and the volume's number."""
    target, baseline = manifest["target"], manifest["baseline"]
    shown = fields.shown(manifest["marking"])
    size = sum(chunk["size"] for chunk in manifest["chunks"])
    lines = [
        shown,
        "",
        f"airlift bundle {bundle.identity(manifest)}, volume {volume} of {volumes}",
        "",
        *_receivers(manifest),
        f"  sequence      {manifest['sequence']}",
        f"  issued        {manifest['issued']}",
        f"  target        {_release(target) if target else 'none (fresh metadata and revocations only)'}",
        *([] if "portions" in manifest else [f"  baseline      {_baseline(baseline)}"]),
        f"  chunks        {len(manifest['chunks'])} in the whole bundle, {size} bytes",
        *_parity(manifest),
        "",
        "At the scanning station:   sha256sum -c SHA256SUMS",
        "On the high side:          airlift high inspect VOLUME...",
        "                           airlift high import VOLUME... --activate",
        "",
        "This text is for people; only the signed manifests count.",
        "",
        shown,
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def _receivers(manifest: dict[str, Any]) -> list[str]:
    if "portions" in manifest:
        each = manifest["portions"]
        return [f"  for enclave   {one['enclave']}, from {_baseline(one['baseline'])}" for one in each]
    return [f"  for enclave   {manifest['enclave'] or 'any that pinned this root'}"]


def _baseline(named: dict[str, Any] | None) -> str:
    return _release(named) if named else "none (complete)"


def _parity(manifest: dict[str, Any]) -> list[str]:
    if "parity" not in manifest:
        return []
    parity = [chunk for stripe in manifest["parity"]["stripes"] for chunk in stripe["parity"]]
    size = sum(chunk["size"] for chunk in parity)
    return [
        f"  parity        {len(parity)} more, {size} bytes: an import rebuilds lost or",
        "                damaged chunks from the others if enough are left",
    ]


def _release(named: dict[str, Any]) -> str:
    return f"{named['name']}@{named['version']}"
