"""Bring one file of a commit into the cache: taken up where it broke off, proven before it has its name (L2.10b)."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from airlift import files
from airlift.errors import DigestError, UncheckedError
from airlift.files import Growing
from airlift.low.release.hub.cache import Cache
from airlift.low.release.hub.endpoint import REACHABLE, Answer, Endpoint, Question
from airlift.low.release.hub.patience import BrokenOffError, Patience
from airlift.low.release.hub.proof import Listed, Proof

MAX_ANSWER = 32 << 30
"""Bytes asked for at a time: networks that deliver files refuse to give more than about 50 GB in one answer."""
MODE = 0o644
SLOW_SECONDS, SLOW_BYTES = 60.0, 60 << 10
"""What gives less in that time is not waited for."""


@dataclass(frozen=True, slots=True)
class Errand:
    """Where files of a commit come from and go to; ``count`` is told of bytes, ``tell`` what people should know."""

    endpoint: Endpoint
    repo: str
    cache: Cache
    count: Callable[[int], None]
    tell: Callable[[str], None]

    @property
    def again(self) -> str:
        """The next command, if what came in is wrong."""
        return (
            f"fetch it from another endpoint (HF_ENDPOINT): "
            f"`airlift low fetch {self.repo} --revision {self.cache.revision}`; if it is the same there, report it"
        )


def download(errand: Errand, listed: Listed) -> tuple[Path, str, int]:
    """Bring a file into the cache; return where it lies, its SHA-256 (hex), and how many bytes came in.

    Raises:
        DigestError: what the endpoint gives is not what it lists.
        NotHeldError: the endpoint does not have it.
        UncheckedError: the endpoint cannot be reached, or breaks off; what came in is kept. Or another command is
            fetching the same file.
        StorageError: the cache cannot be written.
    """
    partial = errand.cache.partial(listed)
    files.make_folder(partial.parent)
    with files.growing(partial) as file:
        coming = _Coming(errand, listed, file)
        proof = coming.complete()
        if not proof.holds and coming.taken_up:
            errand.tell(f"{coming.what} is not what the endpoint lists: fetching it anew")
            coming.begin_anew()
            proof = coming.complete()
        if not proof.holds:
            file.drop()
        proof.insist(coming.what, errand.again)
        file.become(errand.cache.blob(listed), MODE)
    return errand.cache.blob(listed), proof.sha256, coming.came


class _Coming:
    """A file that comes in, perhaps in several answers.

    ``taken_up`` says that its bytes are not all of one answer, ``came`` counts those of this run.
    """

    __slots__ = ("_errand", "_file", "_listed", "_proof", "came", "taken_up", "what")

    def __init__(self, errand: Errand, listed: Listed, file: Growing) -> None:
        self._errand, self._listed, self._file = errand, listed, file
        self.what = f"{listed.path} of {errand.repo}"
        self.came = 0
        if file.length > listed.size:
            file.cut(0)
        self.taken_up = file.length > 0
        self._proof = Proof(listed)
        for piece in file.pieces():
            self._proof.add(piece)
            errand.count(len(piece))

    def begin_anew(self) -> None:
        """Forget what came in."""
        self._errand.count(-self._file.length)
        self._file.cut(0)
        self._proof = Proof(self._listed)
        self.taken_up = False

    def complete(self) -> Proof:
        """Ask until the file is as long as it was listed."""
        patience, furthest = Patience(self._errand.tell), self._file.length
        while self._file.length < self._listed.size:
            self.taken_up = self.taken_up or self._file.length > 0
            try:
                for piece in self._answered():
                    self._take(piece)
                    patience.came(max(0, self._file.length - furthest))
                    furthest = max(furthest, self._file.length)
            except BrokenOffError as error:
                patience.wait(error)
        return self._proof

    def _take(self, piece: bytes) -> None:
        if self._file.length + len(piece) > self._listed.size:
            self._refuse(f"more than {self._listed.size}")
        self._file.append(piece)
        self._proof.add(piece)
        self.came += len(piece)
        self._errand.count(len(piece))

    def _answered(self) -> Iterator[bytes]:
        """Ask for the rest of the file, and yield what comes."""
        endpoint, cache, start, size = (
            self._errand.endpoint,
            self._errand.cache,
            self._file.length,
            self._listed.size,
        )
        address = endpoint.file_address(self._errand.repo, cache.revision, self._listed.path)
        end = min(size, start + MAX_ANSWER)
        asked = {"Range": f"bytes={start}-{end - 1}"} if (start, end) != (0, size) else {}
        with endpoint.asking(Question(self.what, address, asked, cache.revision)) as answer:
            self._check(answer, start)
            yield from self._quick_enough(answer.iter_raw())
        if self._file.length < (end if answer.status_code == 206 else size):
            raise BrokenOffError(f"{self.what} broke off", found=f"{self._file.length} of {size} bytes")

    def _quick_enough(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield pieces as they come; what trickles counts as broken off, though it is never silent for long."""
        since, came = time.monotonic(), 0
        for piece in pieces:
            yield piece
            came += len(piece)
            if time.monotonic() - since > SLOW_SECONDS:
                if came < SLOW_BYTES:
                    raise BrokenOffError(f"{self.what} trickles", found=f"{came} bytes in {SLOW_SECONDS:g} s")
                since, came = time.monotonic(), 0

    def _check(self, answer: Answer, start: int) -> None:
        """Look at what an answer says of itself; the whole file where a part was asked for begins anew."""
        if answer.status_code == 416:  # there is nothing from this byte on
            total = answer.headers.get("Content-Range", "").rpartition("/")[2]
            self._refuse(total[:20] if total.isdecimal() else f"at most {start}")
        if answer.status_code == 206:
            unit, _, rest = answer.headers.get("Content-Range", "").partition(" ")
            span, _, total = rest.partition("/")
            if (unit, span.partition("-")[0]) != ("bytes", str(start)):
                raise UncheckedError(
                    f"{self.what} is given from another byte on",
                    expected=str(start),
                    found=self._errand.endpoint.tell(answer.headers.get("Content-Range", "")),
                    hint=REACHABLE,
                )
        else:
            total = answer.headers.get("Content-Length", "")
            if start:
                self.begin_anew()
        if total.isdecimal() and int(total[:20]) != self._listed.size:
            self._refuse(total[:20])

    def _refuse(self, found: str) -> None:
        self._file.drop()
        raise DigestError(
            f"{self.what} is not as long as the endpoint lists",
            expected=f"{self._listed.size} bytes",
            found=f"{found} bytes",
            hint=self._errand.again,
        )
