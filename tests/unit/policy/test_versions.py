"""Versions that can be compared, and ranges of them."""

import pytest

from airlift.errors import ManifestError
from airlift.policy.versions import check_specifier, check_version, is_below, satisfies


@pytest.mark.parametrize(
    ("version", "specifier", "expected"),
    [
        ("2.0", ">=2.0", True),
        ("2", ">=2.0", True),
        ("2.0.1", ">=2.0", True),
        ("1.9.9", ">=2.0", False),
        ("2.0rc1", ">=2.0", False),
        ("2.1rc1", ">=2.0", True),
        ("2.0.post1", ">=2.0", True),
        ("2.0+local", ">=2.0", True),
        ("10.0", ">=9", True),
        ("2.5", ">=2,<3", True),
        ("3.0", ">=2,<3", False),
        ("2.5", "~=2.0", True),
        ("2.5", "==2.*", True),
        ("2.5", "!=2.5", False),
        ("2.5", "===2.5", True),
        ("0.1", "", True),
    ],
)
def test_ranges(version: str, specifier: str, expected: bool) -> None:
    assert satisfies(version, specifier) is expected


@pytest.mark.parametrize(
    ("version", "floor", "expected"),
    [
        ("2.0", "2.1", True),
        ("2.1", "2.1", False),
        ("2.1.0", "2.1", False),
        ("2.10", "2.9", False),
        ("2.1rc1", "2.1", True),
    ],
)
def test_floors_compare_numbers_rather_than_text(version: str, floor: str, expected: bool) -> None:
    assert is_below(version, floor) is expected


@pytest.mark.parametrize("text", ["", "latest", "1.0-final-x", "v", "1..0", "2026-x", "\u0661x", "main"])
def test_versions_that_cannot_be_compared(text: str) -> None:
    with pytest.raises(ManifestError, match="cannot be compared"):
        check_version(text)
    with pytest.raises(ManifestError):
        satisfies(text, ">=1")
    with pytest.raises(ManifestError):
        is_below("1", text)


@pytest.mark.parametrize("text", ["2.0", ">=", "=>2", ">=2;<3", "latest", ">=1.*", "~=1"])
def test_ranges_that_are_none(text: str) -> None:
    with pytest.raises(ManifestError, match="not a version range"):
        check_specifier(text)
