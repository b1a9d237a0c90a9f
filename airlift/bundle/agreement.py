"""What a bundle manifest says of releases, held against their own manifests (SPEC 6.2).

Held is what one enclave takes: all of the bundle, or its portion (SPEC 6.2-9).

Judged when a bundle is read, and not when its manifest is parsed: what was imported earlier stays readable.
"""

from airlift.bundle import choice
from airlift.bundle.component import source as sources
from airlift.bundle.own import Own
from airlift.bundle.release import Release
from airlift.errors import MalformedError


def check_target(own: Own, release: Release | None) -> None:
    """Check that a bundle from a release to itself names it once and brings nothing.

    If its ``release`` has variants it may bring another of these (SPEC 6.2-4).

    Raises:
        MalformedError: it names it twice, or brings something.
    """
    if own.baseline is None or own.target is None or own.baseline.digest != own.target.digest:
        return
    varied = release is not None and bool(release.variants())
    if own.baseline != own.target or (not varied and (own.files or own.bases or own.chunks)):
        raise MalformedError(
            "bundle manifest: the baseline is the target, under another name or with files to rebuild"
        )


def check_baseline(own: Own, baseline: Release) -> None:
    """Check a bundle against the release that its baseline's digest is of.

    Raises:
        MalformedError: the baseline is named otherwise, holds a file that the bundle rebuilds (in a component that is
            no variant: one of these may be lacking), or lacks a base.
    """
    named = own.baseline
    if named is None or (named.name, named.version) != (baseline.name, baseline.version):
        raise MalformedError(
            "bundle manifest: the baseline has another name",
            expected=baseline.label,
            found=named.label if named else "none",
        )
    held, sure = baseline.contents(), baseline.only(()).contents()
    if any(item.sha512 in sure for item in own.files):
        raise MalformedError("bundle manifest: it rebuilds a file that its baseline holds")
    if any(held.get(item.sha512) != item.size for item in own.bases):
        raise MalformedError("bundle manifest: a base is not content of the baseline")


def check_release(own: Own, release: Release) -> None:
    """Check a bundle against the release that its target's digest is of.

    Raises:
        MalformedError: the release is named or marked otherwise, lacks a file that the bundle rebuilds, or has a
            component that was registered in an enclave: what is there comes in on no medium (SPEC 5.1-17). Or the
            bundle carries other variants than it can (SPEC 6.2-7).
    """
    named = own.target
    if named is None or (release.name, release.version, release.marking) != (
        named.name,
        named.version,
        own.marking,
    ):
        raise MalformedError("bundle manifest: its target or marking is not the release's")
    _check_variants(own, release)
    contents = choice.carried_part(own, release).contents()
    if any(contents.get(item.sha512) != item.size for item in own.files):
        raise MalformedError(
            "bundle manifest: it rebuilds a file that is not part of what it carries of the release"
        )
    for component in release.components:
        if sources.is_registered(component.source):
            raise MalformedError(
                "bundle manifest: the release was registered in an enclave, and comes in on no medium",
                found=f"component {component.name}, registered in {component.source['enclave']}",
            )


def _check_variants(own: Own, release: Release) -> None:
    named, known = set(own.variants), choice.names(release)
    if not named:
        return
    if not named < known:
        raise MalformedError(
            "bundle manifest: its variants are not some of the release's",
            expected=f"fewer than {len(known)}, all of them variants of the release",
            found=", ".join(sorted(named - known)) or "all",
        )
    bare = [of for of, items in release.variants().items() if named.isdisjoint(c.name for c in items)]
    if bare:
        raise MalformedError("bundle manifest: it carries no variant of a component", found=bare[0])
