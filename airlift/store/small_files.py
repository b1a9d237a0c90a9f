"""Small files of one folder that are written many together; each can be read while it waits for its name."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from airlift import files
from airlift.errors import AirliftError
from airlift.files import Reservation


class SmallFiles:
    """Files that wait to be written into ``folder``, for which ``room`` is held, if it is.

    One thread puts them in; any may ask for one.
    """

    __slots__ = ("_folder", "_names", "_room", "_size", "_waiting")

    def __init__(self, folder: Path, room: Reservation | None = None) -> None:
        self._folder, self._room = folder, room
        self._names = files.Names()
        self._waiting: dict[str, bytes] = {}
        self._size = 0

    def put(self, name: str, data: bytes) -> None:
        """Let a file wait; where as many do as are synced together, all are written."""
        self._waiting[name] = data
        self._size += len(data)
        if len(self._waiting) >= files.TOGETHER_FILES or self._size >= files.TOGETHER_BYTES:
            self.write()

    def find(self, name: str) -> bytes | None:
        """Return the bytes of a file that waits; None if none of that name does, for it may be there by now."""
        return self._waiting.get(name)

    def write(self) -> None:
        """Write what waits: each file appears under its name whole and synced."""
        places = {f"{self._folder}/{name}": data for name, data in self._waiting.items()}
        self._names.write(places, self._folder, self._room)
        self._waiting, self._size = {}, 0

    def settle(self) -> None:
        """Write what waits, and make all names durable."""
        self.write()
        self._names.settle()


@contextmanager
def waiting(folder: Path, room: Reservation | None = None) -> Iterator[SmallFiles]:
    """Give a place for small files that are in ``folder``, durably, when the body is done.

    If it fails, those that it put in before are kept, where they can be.
    """
    small = SmallFiles(folder, room)
    try:
        yield small
    except AirliftError:
        with suppress(AirliftError):
            small.write()
        raise
    small.settle()
