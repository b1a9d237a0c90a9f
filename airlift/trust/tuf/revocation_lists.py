"""Changes of the list of revocations: what leaves it, who lifts that, what they say to those who sign (SPEC 5.4-4).

Pure: lists and documents in, values or lines for people out. A list is what the target ``revocations`` names.
"""

from collections.abc import Iterable, Mapping

from airlift.bundle import revocations
from airlift.bundle.revocations import Revocation, Subject
from airlift.errors import RefusedError
from airlift.trust.tuf import root, targets
from airlift.trust.tuf.metadata import TARGETS
from airlift.trust.tuf.roles import Document
from airlift.trust.tuf.targets import REVOCATIONS, Target

Names = Mapping[str, str]
"""What people call things, by digest or key id (hex); a digest that is not there is shown as it is."""

DIGITS = 32


def target_of(document: Document | None) -> Target | None:
    """Return the list that targets metadata names, None where there is none."""
    return None if document is None else targets.listed(document, TARGETS).get(REVOCATIONS)


def is_changed(old: Document | None, new: Document) -> bool:
    """Say whether two targets metadata name lists of different bytes; the first list of all is no change."""
    before, after = target_of(old), target_of(new)
    return before is not None and (after is None or after.sha512 != before.sha512)


def left_out(old: bytes, new: bytes) -> frozenset[Subject]:
    """Return which revocations of the ``old`` list the ``new`` one does not have.

    Raises:
        MalformedError, FormatTooNewError: one of the two is no list of revocations.
    """
    return _subjects(revocations.parse(old)) - _subjects(revocations.parse(new))


def check_lifted(gone: Iterable[Subject], roots: Iterable[Document]) -> None:
    """Check that one of these roots lifts whatever leaves the list.

    Raises:
        RefusedError: none does; nothing was signed.
    """
    stays = sorted(set(gone) - {subject for document in roots for subject in root.lifted(document)})
    if stays:
        raise RefusedError(
            "a revocation is left out of the list and no root lifts it",
            expected="the revocation in the list, or a change of root that lifts it",
            found=", ".join(describe(subject, {}) for subject in stays[:4]),
            hint="only root's members lift a revocation: `airlift low revoke SUBJECT --lift --reason R --replace`",
        )


def differences(old: Iterable[Revocation], new: Iterable[Revocation], names: Names) -> list[str]:
    """Return what a change of the list does, one line for each revocation that comes, goes or reads otherwise."""
    before = {item.subject: item for item in old}
    after = {item.subject: item for item in new}
    gone = sorted(set(before) - set(after))
    lines = [f"no longer listed as revoked: {describe(subject, names)}" for subject in gone]
    for subject, item in sorted(after.items()):
        if before.get(subject) != item:
            verb = "revocation changed" if subject in before else "revoked"
            lines.append(f"{verb}: {describe(subject, names)}, {item.type}: {item.reason}")
    return lines


def lifted_differences(old: Document | None, new: Document, names: Names) -> list[str]:
    """Return what a change of root lifts, and what it lifts no longer, one line each."""
    before = frozenset() if old is None else root.lifted(old)
    after = root.lifted(new)
    lines = [f"no longer lifted, revoked again: {describe(one, names)}" for one in sorted(before - after)]
    return lines + [f"revocation lifted: {describe(one, names)}" for one in sorted(after - before)]


def describe(subject: Subject, names: Names) -> str:
    """Return what is revoked in words: its kind, name if one is known, digest and serial number."""
    what = "key id" if subject.kind == revocations.KEY else "digest"
    named = f" {names[subject.digest]}" if subject.digest in names else ""
    return f"{subject.kind}{named} ({what} {subject.digest[:DIGITS]}), serial {subject.serial}"


def _subjects(listed: Iterable[Revocation]) -> frozenset[Subject]:
    return frozenset(item.subject for item in listed)
