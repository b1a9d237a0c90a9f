"""What is still to be filled in is found wherever it stands (SPEC L3.5)."""

from typing import Any

import pytest

from airlift.errors import ManifestError
from airlift.low.release.placeholder import FILL_IN, check_filled_in


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"marking": {"level": FILL_IN}}, "marking.level"),
        ({"components": [{"accept": []}, {"accept": [{"reason": FILL_IN}]}]}, "components.1.accept.0.reason"),
    ],
)
def test_places(document: dict[str, Any], place: str) -> None:
    with pytest.raises(ManifestError, match=f"r.yaml: {place} is still to be filled in"):
        check_filled_in("r.yaml", document)


def test_other_words_pass() -> None:
    check_filled_in("r.yaml", {"notes": f"was {FILL_IN}", "a": [1, None, {"b": "FILL"}]})
