"""What the TUF client reads metadata with: bounded, from the medium, and strictly checked before tuf parses it."""

from collections.abc import Callable, Iterator, Mapping

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient.fetcher import FetcherInterface

from airlift.errors import DigestError, InventoryError, MalformedError
from airlift.trust.tuf import metadata
from airlift.trust.tuf.metadata import parse_name
from airlift.trust.tuf.roles import Document

BASE_URL = "medium:/metadata/"
NOT_FOUND = 404
_PROBED_ROOTS = 32

ReadFile = Callable[[str, int], bytes | None]
"""Return the file ``name`` of the medium's metadata folder, at most ``limit`` bytes; None if it is not there."""


class MediumFetcher(FetcherInterface):
    """Serve TUF metadata from ``read``, or from the enclave's own state where that is newer.

    ``own_timestamp`` tells the version of the enclave's own timestamp if the newest root still vouches for it, else
    0. It is asked when the medium's timestamp has been read, which is after all roots have been loaded. When the
    medium's is older, everything but roots is served from ``state`` (``overtaken``).
    """

    def __init__(self, read: ReadFile, state: Mapping[str, bytes], own_timestamp: Callable[[], int]) -> None:
        self._read = read
        self._state = state
        self._own_timestamp = own_timestamp
        self.overtaken = False
        self.served: dict[str, Document] = {}

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Return checked metadata; errors come out as themselves, without a temporary file in between.

        Raises:
            DownloadHTTPError: there is no such file (404, which ends the chain of roots).
            AirliftError: the medium cannot be read, or what it holds is not acceptable.
        """
        name = url.removeprefix(BASE_URL)
        role, version = _parse(name)
        data, document = (
            self._own(role) if self.overtaken and role != metadata.ROOT else self._load(role, name)
        )
        if role == metadata.TIMESTAMP and metadata.version_of(document) < self._own_timestamp():
            self.overtaken = True
            data, document = self._own(role)
        if version is not None and metadata.version_of(document) != version:
            raise MalformedError(f"{name} holds another version", found=str(metadata.version_of(document)))
        if len(data) > max_length:
            raise DigestError(
                f"{name} is too long", expected=f"at most {max_length} bytes", found=str(len(data))
            )
        self.served[role] = document
        return data

    def _fetch(self, url: str) -> Iterator[bytes]:
        yield self.download_bytes(url, max(metadata.MAX_BYTES.values()))

    def _load(self, role: str, name: str) -> tuple[bytes, Document]:
        data = self._read(name, metadata.MAX_BYTES[role])
        if data is None:
            self._check_no_gap(role, name)
            raise DownloadHTTPError(f"{name} is not on the medium", NOT_FOUND)
        return data, metadata.check(role, data)

    def _check_no_gap(self, role: str, name: str) -> None:
        """Refuse a chain of roots with a gap: the end of the chain must be the last root on the medium."""
        _, version = _parse(name)
        if role != metadata.ROOT or version is None:
            return
        for later in range(version + 1, version + 1 + _PROBED_ROOTS):
            if self._read(f"{later}.root.json", metadata.MAX_BYTES[role]) is not None:
                raise InventoryError(f"{name} is missing from the medium", found=f"{later}.root.json")

    def _own(self, role: str) -> tuple[bytes, Document]:
        data = self._state[f"{role}.json"]
        return data, metadata.check(role, data)


def _parse(name: str) -> tuple[str, int | None]:
    """Return role and version of a metadata file name; every role but timestamp is named by its version."""
    known = parse_name(name)
    if known is None:
        raise MalformedError("metadata delegates to a role that does not exist here", found=ascii(name[:80]))
    return known
