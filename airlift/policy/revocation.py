"""What was revoked and is in force, and what of a release it hits (SPEC 5.4, 7.9). Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from airlift.bundle.component import source as sources
from airlift.bundle.component.component import Component
from airlift.bundle.release import Release
from airlift.bundle.revocations import COMPONENT, FILE, KEY, RELEASE, Revocation, Subject
from airlift.errors import RevokedError

_NO_KEYS: Mapping[str, Collection[str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Finding:
    """A revocation that hits a release, and what of it, for people."""

    revocation: Revocation
    text: str

    def error(self) -> RevokedError:
        """Return the refusal."""
        why = self.revocation.reason or "no reason is given"
        found = f"{self.revocation.type} ({self.short})"
        return RevokedError(f"{self.text} is revoked: {why}", expected="nothing revoked", found=found)

    @property
    def short(self) -> str:
        """Kind, and the first digits of the digest."""
        return f"{self.revocation.kind} {self.revocation.digest[:16]}"


@dataclass(frozen=True, slots=True)
class Revoked:
    """The revocations in force, sorted: those that were listed and that root has not lifted."""

    entries: tuple[Revocation, ...] = ()

    @classmethod
    def in_force(cls, listed: Iterable[Revocation], lifted: Collection[Subject]) -> "Revoked":
        """Return what is in force of all that was ever listed."""
        by_subject = {item.subject: item for item in listed}
        return cls(tuple(sorted(item for subject, item in by_subject.items() if subject not in lifted)))

    def keys(self) -> frozenset[str]:
        """Return the ids of revoked keys."""
        return frozenset(item.digest for item in self.entries if item.kind == KEY)

    def of_release(
        self, release: Release, vendor_keys: Mapping[str, Collection[str]] = _NO_KEYS
    ) -> tuple[Finding, ...]:
        """Return what is revoked of a release; ``vendor_keys`` are ids of the keys that vouch, by component."""
        if not self.entries:
            return ()
        listed = {(item.kind, item.digest): item for item in self.entries}
        found = [(release.label, (RELEASE, release.digest), "release")]
        for component in release.whole:
            found += _parts(component, vendor_keys.get(component.name, ()))
        hits = ((listed.get(place), f"{what} {name}") for name, place, what in found)
        return tuple(Finding(item, text) for item, text in hits if item is not None)


def _parts(component: Component, keys: Collection[str]) -> Iterator[tuple[str, tuple[str, str], str]]:
    """Yield what of a component could be revoked: name, kind and digest, and what it is for people."""
    yield f"{component.name} {component.version}", (COMPONENT, component.digest), "component"
    for entry in component.files:
        for digest in (entry.sha512, entry.sha256):
            yield f"{entry.path} of component {component.name}", (FILE, digest), "file"
    if sources.is_inside(component.source):
        for parent in component.parents:
            name = f"{parent.name} {parent.version} (parent of {component.name})"
            yield name, (COMPONENT, parent.digest), "component"
    for key in keys:
        yield f"of component {component.name}", (KEY, key), "the key that vouches for the content"
