"""What comes from a server: bytes from a place of a file on, or a word why not now. No sockets are opened here."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from airlift.errors import UncheckedError
from airlift.low.sources.plan import Wanted

PIECE_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Arriving:
    """An answer: bytes of a file from ``start`` on.

    ``total`` is the length of the whole file, if the server states it; ``mark`` is what tells this state of the file
    from others (a strong ETag), to be asked for again; ``type`` is its media type as the server states it.
    """

    start: int
    total: int | None
    pieces: Iterator[bytes | memoryview]
    mark: str | None = None
    type: str = ""


Origin = Callable[[Wanted, int, str | None], AbstractContextManager[Arriving]]
"""Opens a wanted file from an offset on; the text is the ``mark`` of an answer before, if that state is to go on."""

Measure = Callable[[Wanted], int | None]
"""Asks how long a wanted file is, in bytes; nothing of it is sent. None if the server does not tell."""


class BrokenError(UncheckedError):
    """A server did not answer, or broke off: worth another attempt, after ``wait`` seconds if it said so.

    ``restart`` says that the file has to be heard from its start.
    """

    code = "unreachable"
    default_hint = (
        "check the network and the address, then run the same command again; what was fetched is kept"
    )

    def __init__(self, message: str, *, found: str, wait: float | None = None, restart: bool = False) -> None:
        super().__init__(message, found=found)
        self.wait, self.restart = wait, restart
