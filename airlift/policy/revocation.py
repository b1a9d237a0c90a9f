"""Revocations in force, and what they say of a release (SPEC 5.4): the same judgement on both sides.

Pure: lists that were verified come in, findings go out; whoever asks decides what to do about them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from airlift.bundle.release import Component, Release
from airlift.bundle.revocations import COMPONENT, FILE, KEY, RELEASE, Revocation, Subject

NO_KEYS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Finding:
    """A revocation that a release falls under, and what it says of the release, in words."""

    revocation: Revocation
    text: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """What is in force: revocations that were listed and that root has not lifted, sorted, each subject once."""

    entries: tuple[Revocation, ...] = ()

    @classmethod
    def in_force(cls, listed: Iterable[Revocation], lifted: frozenset[Subject]) -> "Revoked":
        """Return what of these lists is in force; of entries of one subject the last of the given ones counts."""
        found = {item.subject: item for item in listed if item.subject not in lifted}
        return cls(tuple(sorted(found.values())))

    def keys(self) -> frozenset[str]:
        """Return the ids (hex) of revoked keys."""
        return frozenset(self._of(KEY))

    def of_release(self, release: Release, vendor_keys: Mapping[str, str] = NO_KEYS) -> tuple[Finding, ...]:
        """Return what is revoked of a release: itself, its components, their files, the keys that vouch for them.

        ``vendor_keys`` are the ids (hex) of the keys that vendors' signatures were verified with, by component, as
        far as they have one (SPEC 4.1-3).
        """
        if not self.entries:
            return ()
        found = list(_findings(self._of(RELEASE), release.digest, f"release {release.label}"))
        components, files, keys = self._of(COMPONENT), self._of(FILE), self._of(KEY)
        for component in release.components:
            found += _findings(
                components, component.digest, f"component {component.name} {component.version}"
            )
            found += _of_files(files, component)
            key_id = vendor_keys.get(component.name, "")
            found += _findings(keys, key_id, f"the vendor's key of component {component.name}")
        return tuple(found)

    def _of(self, kind: str) -> dict[str, Revocation]:
        return {item.digest: item for item in self.entries if item.kind == kind}


def _of_files(revoked: Mapping[str, Revocation], component: Component) -> Iterator[Finding]:
    for entry in component.files if revoked else ():
        for digest in (entry.sha512, entry.sha256):
            yield from _findings(revoked, digest, f"file {entry.path} of component {component.name}")


def _findings(revoked: Mapping[str, Revocation], digest: str, what: str) -> Iterator[Finding]:
    if digest in revoked:
        item = revoked[digest]
        yield Finding(item, f"{what} is revoked: {item.reason}" if item.reason else f"{what} is revoked")
