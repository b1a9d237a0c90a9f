"""Where the bytes lie that a block is decoded from, and whether they are still what was installed.

They are read, never mapped: a disk that fails, or a file that is cut short, is then an error that names the file, and
not the end of the process (docs/decisions/007).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from airlift import files
from airlift.bundle.chunk import BUILT, Source
from airlift.bundle.fields import FileDigest
from airlift.bundle.manifest import Bundle
from airlift.errors import BaselineDamagedError, ProvenBadError
from airlift.high.enclave.enclave import Enclave
from airlift.high.enclave.expected import Expected, Part, damage
from airlift.store.small_files import SmallFiles


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The files that blocks take bytes from: those of this bundle that were just rebuilt, else content at rest.

    A file of the bundle is a source only of files after it, and is read only when it stands in ``folder``, or waits
    in ``small`` to be written there: complete, and with its signed digest.
    """

    enclave: Enclave
    bundle: Bundle
    folder: Path
    expected: Expected
    small: SmallFiles

    def path(self, source: Source) -> Path:
        """Return the file that a source is of."""
        digest = source.content(self.bundle).sha512
        built = self.folder / digest
        return built if source.base & BUILT and built.exists() else self.enclave.content.path(digest)

    def read(self, source: Source, buffer: memoryview) -> None:
        """Read the bytes of a source into ``buffer``, which is as long.

        Raises:
            BaselineDamagedError: a base at rest is shorter than it was.
            UncheckedError: it cannot be read.
        """
        waiting = self.small.find(source.content(self.bundle).sha512) if source.base & BUILT else None
        if waiting is not None:
            buffer[:] = waiting[source.start : source.start + source.length]
            return
        path = self.path(source)
        with files.opened(path) as descriptor, files.reading(path):
            count = files.read_into(descriptor, source.start, buffer)
        if count != source.length:
            raise BaselineDamagedError("a base at rest is shorter than it was", found=path.name)

    def blame(self, sources: Iterable[Source], error: ProvenBadError) -> None:
        """Raise BaselineDamagedError if content at rest among these is no longer what it was when installed.

        Where pieces decide, those that the sources lie in are looked at, else all of it (SPEC 7.3-10).
        """
        sound = set[tuple[Path, int]]()
        for source in sources:
            content = source.content(self.bundle)
            if source.base & BUILT and self.small.find(content.sha512) is not None:
                continue
            path = self.path(source)
            if path.parent == self.folder:
                continue
            for part in self.expected.parts(content, source.start, source.start + source.length):
                if (path, part.start) not in sound and damage(path, (part,), content.size):
                    raise _damaged(path, part, content) from error
                sound.add((path, part.start))


def _damaged(path: Path, part: Part, content: FileDigest) -> BaselineDamagedError:
    whole = part.end - part.start == content.size
    where = "" if whole else f", in its bytes {part.start} to {part.end}"
    return BaselineDamagedError(
        "a base at rest is damaged: nothing was installed",
        expected=part.digest,
        found=f"{path}{where}",
    )
