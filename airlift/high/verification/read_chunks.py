"""Read the chunks of a verified bundle; rebuild from their stripes those that are missing or damaged (SPEC 6.7).

A chunk is lost if no copy of it can be read that has its signed digest. What is rebuilt must have it too, so nothing
here trusts parity: members that are wrong, or a stripe that is none, give other bytes, and these are refused.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from airlift import files
from airlift.bundle import volume
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import Bundle
from airlift.bundle.own import Own
from airlift.bundle.parity.stripe import Stripe, lost_for_good
from airlift.errors import AirliftError, DigestError, IncompleteError, UncheckedError
from airlift.high.verification.verified import VerifiedBundle

Failures = Mapping[int, AirliftError]
"""Why members of a stripe are lost, by number."""


@dataclass(slots=True)
class ChunkReader:
    """Reads chunks from the volumes of a bundle and from ``staged``, a folder of staging that need not be there.

    What was rebuilt is kept there, unless ``keep`` is off, and listed in ``repaired`` (SHA-512). ``damaged`` are the
    volumes with a copy that is damaged or cannot be read, ``bad`` the chunks (SHA-512) of which no copy is good.
    """

    verified: VerifiedBundle
    staged: Path
    keep: bool = True
    repaired: list[str] = field(default_factory=list)
    damaged: set[Path] = field(default_factory=set)
    bad: set[str] = field(default_factory=set)
    _places: dict[str, tuple[Stripe, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        chunks = self.bundle.chunks
        for stripe in self.bundle.parity:
            for number, index in enumerate(stripe.data):
                self._places[chunks[index].sha512] = stripe, number
        self.damaged.update(self.verified.lacking)

    @property
    def bundle(self) -> Bundle:
        """The manifest of the bundle."""
        return self.verified.bundle

    @property
    def own(self) -> Own:
        """What this enclave takes of it."""
        return self.verified.own

    def path(self, chunk: FileDigest) -> Path:
        """Where a chunk is kept in staging."""
        return self.staged / volume.chunk_name(chunk.sha512)

    def missing(self) -> tuple[str, ...]:
        """Return the own data chunks (SHA-512) that are lost and cannot be rebuilt, as far as is known by now."""
        there = {item.sha512 for item in self.bundle.all_chunks if self.is_good(item)}
        return self.own.only(lost_for_good(self.bundle.parity, self.bundle.chunks, there))

    def is_there(self, chunk: FileDigest) -> bool:
        """Say whether a volume or staging claims to hold a chunk."""
        return bool(self.verified.chunk_paths[chunk.sha512]) or self.path(chunk).exists()

    def is_good(self, chunk: FileDigest) -> bool:
        """Say whether a volume or staging claims to hold a chunk, and nothing else is known by now."""
        return chunk.sha512 not in self.bad and self.is_there(chunk)

    def read(self, chunk: FileDigest) -> bytes | memoryview:
        """Return the bytes of a data chunk, verified; rebuilt if it is lost and its stripe allows.

        Raises:
            IncompleteError: it is lost, and what was not given could give it back.
            DigestError: every copy is damaged, or what parity gives back is another chunk.
            UncheckedError: a copy cannot be read.
            StorageError: what was rebuilt cannot be kept.
        """
        try:
            return self.read_copy(chunk)
        except (IncompleteError, DigestError, UncheckedError) as error:
            if chunk.sha512 not in self._places:
                raise
            stripe, number = self._places[chunk.sha512]
            good, failures = self._gather(stripe, len(stripe.data), {number: error})
            return self._restore(stripe, good, failures)[number]

    def read_copy(self, chunk: FileDigest) -> memoryview:
        """Return the bytes of a data or parity chunk as it stands on a volume or in staging, verified.

        Raises:
            IncompleteError: there is none.
            DigestError, UncheckedError: every copy is damaged, or cannot be read.
        """
        try:
            return self.verified.read_chunk(chunk, self.staged, self._note)
        except (IncompleteError, DigestError, UncheckedError):
            self.bad.add(chunk.sha512)
            raise

    def prove(self, stripe: Stripe) -> None:
        """Read every member of a stripe that is there; check that own data that is lost can be rebuilt.

        A stripe without own data is passed over.

        Raises:
            AirliftError: as :meth:`read`.
        """
        mine = {number for number, index in enumerate(stripe.data) if self.own.has_chunk(index)}
        if not mine:
            return
        good, failures = self._gather(stripe, len(stripe.data) + len(stripe.parity), {})
        if mine & failures.keys():
            self._restore(stripe, good, dict(sorted(failures.items(), key=lambda item: item[0] not in mine)))

    def _note(self, path: Path) -> None:
        if path.parent != self.staged:
            self.damaged.add(path.parents[1])

    def _gather(
        self, stripe: Stripe, enough: int, known: Failures
    ) -> tuple[dict[int, memoryview], dict[int, AirliftError]]:
        """Return the good members of a stripe by number, at most ``enough``, and why others are lost."""
        good: dict[int, memoryview] = {}
        failures = dict(known)
        for number, member in enumerate(stripe.members(self.bundle.chunks)):
            if number in failures or len(good) == enough:
                continue
            try:
                good[number] = self.read_copy(member)
            except (IncompleteError, DigestError, UncheckedError) as error:
                failures[number] = error
        return good, failures

    def _restore(
        self, stripe: Stripe, good: Mapping[int, memoryview], failures: Failures
    ) -> dict[int, bytes]:
        """Return the lost data members of a stripe that are its own, rebuilt, verified and kept."""
        from airlift import erasure  # noqa: PLC0415 - NumPy: only a damaged bundle needs it

        members, count = stripe.members(self.bundle.chunks), len(stripe.data)
        if len(good) < count:
            raise _beyond_repair(count, len(good), failures)
        lost = [n for n in range(count) if n in failures and self.own.has_chunk(stripe.data[n])]
        found = erasure.reconstruct(good, count, len(stripe.parity), lost, stripe.size)
        restored = {number: bytes(found[number][: members[number].size]) for number in lost}
        for number, data in restored.items():
            _check(members[number], data)
        for number, data in restored.items():
            self._keep(members[number], data)
        return restored

    def _keep(self, chunk: FileDigest, data: bytes) -> None:
        if self.keep:
            files.make_folder(self.staged)
            with files.writer(self.path(chunk), durable=False) as target:
                target.write(data)
        self.bad.discard(chunk.sha512)
        self.repaired.append(chunk.sha512)


def _check(chunk: FileDigest, data: bytes) -> None:
    found = hashlib.sha512(data).hexdigest()
    if found != chunk.sha512:
        raise DigestError(
            "the parity of the bundle gives back another chunk than its data: it was signed with parity that is none",
            expected=f"SHA-512 {chunk.sha512[:16]}...",
            found=f"SHA-512 {found[:16]}...",
            data={"damaged": [chunk.sha512]},
        )


def _beyond_repair(needed: int, good: int, failures: Failures) -> AirliftError:
    """Return the error of the member that was found lost first; IncompleteError if absent ones can make up for it."""
    absent = sum(isinstance(error, IncompleteError) for error in failures.values())
    first = next(iter(failures.values()))
    told = f"{good} good members of its stripe, {needed} would rebuild it"
    if absent and (good + absent >= needed or isinstance(first, IncompleteError)):
        return IncompleteError("a chunk is lost, and too little of its stripe is at hand", found=told)
    first.found = f"{first.found}; {told}" if first.found else told
    return first
