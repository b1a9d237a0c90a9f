"""Which files a volume has, and what a refusal says: what was expected and what was found (SPEC 6.4-2)."""

from pathlib import Path

import pytest

from airlift.errors import InventoryError
from airlift.media.inventory import check_metadata_names, take_inventory

FOLDER = Path("volume")
ROLES = ("timestamp.json", "2.snapshot.json", "3.targets.json", "4.bundler.json")


@pytest.mark.parametrize("roots", [(1,), (1, 2, 3), (3, 4), (9, 10, 11), ()])
def test_metadata_of_a_volume(roots: tuple[int, ...]) -> None:
    """That there is a root at all, and that it leads on from the pinned one, is for who knows that one to say."""
    check_metadata_names(FOLDER, [*ROLES, *(f"{version}.root.json" for version in roots)])


@pytest.mark.parametrize(
    ("names", "expected", "found"),
    [
        ([*ROLES, "1.root.json", "3.root.json"], "every version from 1 to 3", "2 roots"),
        ([*ROLES, "5.targets.json"], "bundler, snapshot, targets, timestamp", "targets, targets"),
        (ROLES[1:], "bundler, snapshot, targets, timestamp", "bundler, snapshot, targets"),
        ([*ROLES, "root.json"], None, "'root.json'"),
        ([*ROLES, "01.root.json"], None, "'01.root.json'"),
        ([*ROLES, "1.root.json.exe"], None, "'1.root.json.exe'"),
        ([*ROLES, "1.root.json\n"], None, "\\n"),
        ([*ROLES, "\u202egnp.json"], None, "\\u202e"),
        ([*ROLES, "1.timestamp.json"], None, "'1.timestamp.json'"),
        ([*ROLES, f"{'9' * 11}.root.json"], None, "99999999999.root.json"),
    ],
)
def test_metadata_that_nothing_needs_or_that_lacks(
    names: list[str], expected: str | None, found: str
) -> None:
    with pytest.raises(InventoryError) as caught:
        check_metadata_names(FOLDER, names)
    assert caught.value.expected == expected
    assert found in str(caught.value.found)


def test_an_inventory(tmp_path: Path) -> None:
    for name in ("metadata", "manifests", "chunks"):
        (tmp_path / name).mkdir()
    for name, size in (("LABEL.txt", 1), ("volume.json", 2), ("SHA256SUMS", 3), ("chunks/a", 4)):
        (tmp_path / name).write_bytes(bytes(size))
    assert take_inventory(tmp_path) == {"LABEL.txt": 1, "volume.json": 2, "SHA256SUMS": 3, "chunks/a": 4}
    (tmp_path / "LABEL.txt").unlink()
    with pytest.raises(InventoryError, match=r"lacks LABEL\.txt"):
        take_inventory(tmp_path)
