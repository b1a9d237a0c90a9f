"""What of a bundle is an enclave's own: all of it, or its portion (SPEC 6.2-9). Pure.

Numbers of files, bases and chunks are always those of the bundle's lists.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from airlift.bundle.fields import FileDigest, Marking
from airlift.bundle.manifest import Bundle, Portion, ReleaseRef
from airlift.bundle.portions import ranges
from airlift.errors import WrongEnclaveError


@dataclass(frozen=True, slots=True)
class Own:
    """What an enclave takes of a bundle; ``enclave`` is None if it is not one of several that the bundle is for.

    Every rule of a bundle holds for its baseline, variants and lists. The numbers are ascending, and those of the
    items of the list of the same name.
    """

    bundle: Bundle
    enclave: str | None
    baseline: ReleaseRef | None
    variants: tuple[str, ...]
    base_numbers: Sequence[int]
    file_numbers: Sequence[int]
    chunk_numbers: Sequence[int]
    bases: tuple[FileDigest, ...]
    files: tuple[FileDigest, ...]
    chunks: tuple[FileDigest, ...]
    _known_bases: Collection[int] = field(repr=False)
    _known_files: Collection[int] = field(repr=False)
    _known_chunks: Collection[int] = field(repr=False)

    @property
    def target(self) -> ReleaseRef | None:
        """The release that the bundle brings."""
        return self.bundle.target

    @property
    def marking(self) -> Marking:
        """The marking of the bundle."""
        return self.bundle.marking

    @property
    def chunk_bytes(self) -> int:
        """The bytes of all its chunks."""
        return sum(item.size for item in self.chunks)

    def only(self, digests: Iterable[str]) -> tuple[str, ...]:
        """Return those of some digests (SHA-512) that are of its own chunks, in their order."""
        known = {item.sha512 for item in self.chunks}
        return tuple(digest for digest in digests if digest in known)

    def has_file(self, number: int) -> bool:
        """Say whether a file of the bundle is its own."""
        return number in self._known_files

    def has_chunk(self, number: int) -> bool:
        """Say whether a data chunk of the bundle is its own."""
        return number in self._known_chunks

    def readable(self) -> tuple[FileDigest, ...]:
        """Return the chunks that may be read for it: its own, and the members of stripes that these are of."""
        numbers, parity = set(self.chunk_numbers), dict[str, FileDigest]()
        for stripe in self.bundle.parity:
            if any(map(self.has_chunk, stripe.data)):
                numbers.update(stripe.data)
                parity |= {item.sha512: item for item in stripe.parity}
        data = (self.bundle.chunks[number] for number in sorted(numbers))
        return tuple(({item.sha512: item for item in data} | parity).values())

    def has_base(self, number: int) -> bool:
        """Say whether a base of the bundle is its own."""
        return number in self._known_bases


def whole(bundle: Bundle) -> Own:
    """Return all of a bundle, whomever it is for."""
    bases, files, chunks = (range(len(items)) for items in (bundle.bases, bundle.files, bundle.chunks))
    return Own(
        bundle,
        None,
        bundle.baseline,
        bundle.variants,
        bases,
        files,
        chunks,
        bundle.bases,
        bundle.files,
        bundle.chunks,
        bases,
        files,
        chunks,
    )


def of(bundle: Bundle, enclave: str) -> Own | None:
    """Return what an enclave takes of a bundle; None if it is for several others.

    Of a bundle without portions that is all of it, whomever it is for.
    """
    if not bundle.portions:
        return whole(bundle)
    found = next((item for item in bundle.portions if item.enclave == enclave), None)
    return None if found is None else _of_portion(bundle, found)


def insist(bundle: Bundle, enclave: str) -> Own:
    """Return what an enclave takes of a bundle that is known to be for it.

    Raises:
        WrongEnclaveError: it is for several others.
    """
    found = of(bundle, enclave)
    if found is None:
        raise WrongEnclaveError(
            "the bundle is for other enclaves",
            expected=f"one for {enclave}",
            found=f"one for {', '.join(bundle.enclaves)}",
        )
    return found


def every(bundle: Bundle) -> Iterator[Own]:
    """Yield what each enclave takes of a bundle: all of it, or one portion after the other."""
    if not bundle.portions:
        yield whole(bundle)
    yield from (_of_portion(bundle, item) for item in bundle.portions)


def as_taken(bundle: Bundle, enclave: str) -> Bundle:
    """Return a bundle as an enclave took it, for records: its portion's baseline, variants and lists in their places.

    It is no manifest any more: it has another digest.
    """
    own = of(bundle, enclave)
    if own is None or not bundle.portions:
        return bundle
    return replace(
        bundle,
        baseline=own.baseline,
        variants=own.variants,
        bases=own.bases,
        files=own.files,
        chunks=own.chunks,
    )


def _of_portion(bundle: Bundle, portion: Portion) -> Own:
    bases, files, chunks = map(ranges.numbers, (portion.bases, portion.files, portion.chunks))
    return Own(
        bundle,
        portion.enclave,
        portion.baseline,
        portion.variants,
        bases,
        files,
        chunks,
        tuple(bundle.bases[number] for number in bases),
        tuple(bundle.files[number] for number in files),
        tuple(bundle.chunks[number] for number in chunks),
        frozenset(bases),
        frozenset(files),
        frozenset(chunks),
    )
