"""The stripe: data chunks by index, and the parity chunks that give lost ones back (SPEC 6.7)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from airlift import strict
from airlift.bundle.fields import FileDigest
from airlift.errors import MalformedError

MAX_PARITY = 64
MAX_MEMBERS = 255
MAX_BYTES = 256 << 20
"""The members of a stripe together, each counted as large as the largest."""


@dataclass(frozen=True, slots=True)
class Stripe:
    """Data chunks, by index in the manifest's ``chunks``, and their parity chunks, in the order of the code."""

    data: tuple[int, ...]
    parity: tuple[FileDigest, ...]

    @property
    def size(self) -> int:
        """The bytes of each parity chunk, which is the length of the stripe."""
        return self.parity[0].size

    def members(self, chunks: Sequence[FileDigest]) -> tuple[FileDigest, ...]:
        """Return all members in the order of their numbers: data, then parity."""
        return (*(chunks[index] for index in self.data), *self.parity)

    def to_json(self) -> dict[str, Any]:
        """Return the document form."""
        return {"data": list(self.data), "parity": [item.to_json() for item in self.parity]}


def to_json(stripes: Sequence[Stripe]) -> dict[str, Any]:
    """Return the member ``parity`` of a bundle manifest."""
    return {"stripes": [item.to_json() for item in stripes]}


def parse(document: Any, chunks: Sequence[FileDigest], what: str) -> tuple[Stripe, ...]:
    """Parse the member ``parity`` of a manifest with these data chunks.

    Raises:
        MalformedError: it breaks SPEC 6.7-1 to 6.7-3.
    """
    strict.only(document, frozenset({"stripes"}), what)
    items = strict.member(document, "stripes", list, what)
    if not 1 <= len(items) <= len(chunks):
        raise MalformedError(
            f"{what}: no such number of stripes", expected=f"1 to {len(chunks)}", found=str(len(items))
        )
    stripes = tuple(_parse(item, chunks, what) for item in items)
    check(stripes, chunks, what)
    return stripes


def check(stripes: Sequence[Stripe], chunks: Sequence[FileDigest], what: str) -> None:
    """Check that every data chunk is in one stripe, and that one digest stands with one size.

    Raises:
        MalformedError: it is not so.
    """
    indices = [index for stripe in stripes for index in stripe.data]
    if len(indices) != len(chunks) or len(set(indices)) != len(chunks):
        raise MalformedError(
            f"{what}: not every chunk is in exactly one stripe",
            expected=f"{len(chunks)} chunks",
            found=f"{len(indices)}, {len(set(indices))} of them different",
        )
    sizes = {item.sha512: item.size for item in chunks}
    for item in (item for stripe in stripes for item in stripe.parity):
        if sizes.setdefault(item.sha512, item.size) != item.size:
            raise MalformedError(f"{what}: one SHA-512 stands with two sizes")


def repairable(
    stripes: Sequence[Stripe], chunks: Sequence[FileDigest], present: Collection[str]
) -> tuple[str, ...]:
    """Return the SHA-512 of the data chunks that are not ``present``, but can be rebuilt from what is."""
    lost = {*present, *lost_for_good(stripes, chunks, present)}
    return tuple(item.sha512 for item in chunks if item.sha512 not in lost)


def lost_for_good(
    stripes: Sequence[Stripe], chunks: Sequence[FileDigest], present: Collection[str]
) -> tuple[str, ...]:
    """Return the SHA-512 of the data chunks that are not ``present`` and cannot be rebuilt, in their order."""
    absent = {item.sha512 for item in chunks if item.sha512 not in present}
    if not absent:
        return ()
    for stripe in stripes:
        members = stripe.members(chunks)
        if sum(item.sha512 in present for item in members) >= len(stripe.data):
            absent.difference_update(item.sha512 for item in members)
    return tuple(item.sha512 for item in chunks if item.sha512 in absent)


def _parse(document: Any, chunks: Sequence[FileDigest], what: str) -> Stripe:
    strict.only(document, frozenset({"data", "parity"}), what)
    data = strict.member(document, "data", list, what)
    parity = strict.member(document, "parity", list, what)
    if not data or not 1 <= len(parity) <= MAX_PARITY or len(data) + len(parity) > MAX_MEMBERS:
        raise MalformedError(
            f"{what}: a stripe has no such number of members",
            expected=f"1 or more data and 1 to {MAX_PARITY} parity, at most {MAX_MEMBERS} together",
            found=f"{len(data)} data and {len(parity)} parity",
        )
    if not all(type(index) is int and 0 <= index < len(chunks) for index in data):
        raise MalformedError(
            f"{what}: a stripe names a chunk that is not there", expected=f"0 to {len(chunks) - 1}"
        )
    stripe = Stripe(tuple(data), tuple(FileDigest.from_json(item, what) for item in parity))
    _check_size(stripe, max(chunks[index].size for index in data), what)
    return stripe


def _check_size(stripe: Stripe, largest: int, what: str) -> None:
    if any(item.size != largest for item in stripe.parity):
        raise MalformedError(
            f"{what}: a parity chunk is not as large as the largest data chunk of its stripe",
            expected=f"{largest} bytes",
        )
    total = (len(stripe.data) + len(stripe.parity)) * largest
    if total > MAX_BYTES:
        raise MalformedError(
            f"{what}: a stripe is too large", expected=f"at most {MAX_BYTES} bytes", found=f"{total} bytes"
        )
