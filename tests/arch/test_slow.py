"""The list of slow tests names what there is, and leaves enough for `make test` to mean something."""

import re

import pytest

from tests.arch.tree import ROOT
from tests.support import slow

LOG = """
12.00s call     tests/unit/test_a.py::test_one[x]
9.00s setup    tests/unit/test_a.py::test_one[y]
2.00s call     tests/unit/test_b.py::test_two
900.00s call     tests/crash/test_c.py::test_three
"""


def test_every_line_names_a_test_a_file_or_a_folder() -> None:
    for item in slow.listed():
        path, _, name = item.partition("::")
        assert (ROOT / path).exists(), item
        assert not name or re.search(rf"^ *(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), (
            item
        )


def test_a_test_is_slow_by_its_name_file_or_folder() -> None:
    assert slow.is_slow("tests/crash/test_points.py::test_x[y]")
    assert not slow.is_slow("tests/arch/test_slow.py::test_every_line_names_a_test_a_file_or_a_folder")


def test_the_slowest_are_chosen_until_the_rest_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow, "SECONDS", 5)
    assert slow.choose(LOG) == ["tests/unit/test_a.py::test_one"]
