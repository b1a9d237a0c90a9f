"""Which files a volume has (SPEC 6.4-2)."""

from pathlib import Path

import pytest

from airlift.errors import InventoryError
from airlift.media.inventory import take_inventory


def test_an_inventory(tmp_path: Path) -> None:
    for name in ("metadata", "manifests", "chunks"):
        (tmp_path / name).mkdir()
    for name, size in (("LABEL.txt", 1), ("volume.json", 2), ("SHA256SUMS", 3), ("chunks/a", 4)):
        (tmp_path / name).write_bytes(bytes(size))
    assert take_inventory(tmp_path) == {"LABEL.txt": 1, "volume.json": 2, "SHA256SUMS": 3, "chunks/a": 4}
    (tmp_path / "LABEL.txt").unlink()
    with pytest.raises(InventoryError, match=r"lacks LABEL\.txt"):
        take_inventory(tmp_path)
