"""What a volume's metadata folder holds, by its names (SPEC 6.4-2)."""

import pytest

from airlift.errors import InventoryError
from airlift.trust.tuf import metadata_folder

REST = ("timestamp.json", "4.snapshot.json", "3.targets.json", "4.bundler.json")


@pytest.mark.parametrize(
    ("names", "message", "found"),
    [
        (REST, "1.root.json is missing", None),
        ((*REST, "1.root.json", "3.root.json"), "2.root.json is missing", None),
        ((*REST, "2.root.json"), "1.root.json is missing", None),
        ((*REST, "1.root.json", "5.targets.json"), "one N.targets.json", "2"),
        ((*REST[2:], "1.root.json"), "one N.snapshot.json", "0"),
        ((*REST[1:], "1.root.json"), "timestamp.json is missing", None),
        ((*REST, "root.json"), "that nothing needs", "'root.json'"),
        ((*REST, "01.root.json"), "that nothing needs", "'01.root.json'"),
        ((*REST, "1.root.json.exe"), "that nothing needs", "'1.root.json.exe'"),
        ((*REST, "1.root.json\n"), "that nothing needs", "\\n"),
        ((*REST, "\u202egnp.json"), "that nothing needs", "\\u202e"),
        ((*REST, "1.timestamp.json"), "that nothing needs", "'1.timestamp.json'"),
        ((*REST, f"{'9' * 11}.root.json"), "that nothing needs", "99999999999.root.json"),
    ],
)
def test_metadata_that_nothing_needs_or_that_lacks(
    names: tuple[str, ...], message: str, found: str | None
) -> None:
    with pytest.raises(InventoryError, match=message) as caught:
        metadata_folder.check_complete(names, None)
    assert found is None or found in str(caught.value.found)
