"""Versions that can be compared: PEP 440, as the packaging library implements it."""

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from airlift.errors import ManifestError


def satisfies(version: str, specifier: str) -> bool:
    """Say whether ``version`` lies within ``specifier`` (``>=2.0``, ``>=2,<3``); pre-releases count.

    Raises:
        ManifestError: one of the two cannot be compared.
    """
    return check_specifier(specifier).contains(check_version(version), prereleases=True)


def is_below(version: str, floor: str) -> bool:
    """Say whether ``version`` is older than ``floor``."""
    return check_version(version) < check_version(floor)


def check_version(version: str) -> Version:
    """Return the comparable version, or raise ManifestError."""
    try:
        return Version(version)
    except InvalidVersion as error:
        raise ManifestError(
            f"version {version!r} cannot be compared",
            expected="numbers with dots, as PEP 440 has it (2.1, 2.1.post1, 2.1rc1)",
            hint="use a comparable version for components that requirements or floors name",
        ) from error


def check_specifier(specifier: str) -> SpecifierSet:
    """Return the version specifier, or raise ManifestError."""
    try:
        return SpecifierSet(specifier)
    except InvalidSpecifier as error:
        raise ManifestError(f"{specifier!r} is not a version range", expected=">=2.0 or >=2,<3") from error
