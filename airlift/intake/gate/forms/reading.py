"""What the forms share: refusals, and documents that are read again by their digest."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from airlift.bundle.component.file_entry import FileEntry
from airlift.errors import ForbiddenFileError, MalformedError, UncheckedError

Read = Callable[[str, int], bytes]
"""Returns the first bytes of a file of the component: its relative path, and how many at most."""


@dataclass(frozen=True, slots=True)
class Whole:
    """The files of a component by relative path, as they were digested, and how to read one."""

    files: Mapping[str, FileEntry]
    read: Read

    def document(self, path: str, most: int) -> bytes:
        """Return a whole file of at most ``most`` bytes, which must be what was digested.

        Raises:
            ForbiddenFileError: it is longer.
            UncheckedError: it cannot be read, or was changed since.
        """
        entry = self.files[path]
        if entry.size > most:
            raise ForbiddenFileError(
                f"{path} is too long", expected=f"at most {most} bytes", found=f"{entry.size} bytes"
            )
        data = self.read(path, most)
        if hashlib.sha512(data).hexdigest() != entry.sha512:
            raise UncheckedError(f"{path} was changed while it was read", hint="run the command again")
        return data


@contextmanager
def refusing(hint: str) -> Iterator[None]:
    """Refuse a component for what is malformed in it; ``hint`` is the command that makes it anew.

    Raises:
        ForbiddenFileError: the body found something malformed.
    """
    try:
        yield
    except MalformedError as error:
        raise ForbiddenFileError(
            error.message, expected=error.expected, found=error.found, hint=hint
        ) from error
