"""A bucket of the enclave's network: the only module of the high side that opens sockets (SPEC 8.7-10).

obstore (extra ``buckets``) is imported inside the function that needs it, and asks nobody but the endpoint that
policy names. Who may write there says the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import ModuleType
from typing import Any

from airlift.errors import UncheckedError, UsageError
from airlift.policy.document import Bucket

DIGEST = "airlift-sha512"
"""Under which name an object's digest is kept with it."""
PART_BYTES = 16 << 20
_CREDENTIALS = {
    "access_key_id": "AWS_ACCESS_KEY_ID",
    "secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "session_token": "AWS_SESSION_TOKEN",
}


class OpenBucket:
    """A bucket that policy names, opened; keys are whole keys of its objects."""

    def __init__(self, permitted: Bucket) -> None:
        """Open it.

        Raises:
            UsageError: obstore is not installed.
            UncheckedError: the environment does not say who is asking.
        """
        self._library = _library()
        self.name = permitted.url.removeprefix("s3://").partition("/")[0]
        self.endpoint = permitted.endpoint
        found = {key: os.environ.get(name) for key, name in _CREDENTIALS.items()}
        if not found["access_key_id"] or not found["secret_access_key"]:
            raise UncheckedError(
                f"nothing says who puts into {permitted.url}",
                expected="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                hint="set both in the environment, and run the same command again",
            )
        self._store: Any = self._library.store.S3Store(
            self.name,
            config={
                "endpoint": permitted.endpoint,
                "region": permitted.region,
                **{key: value for key, value in found.items() if value},
            },
            client_options={
                "allow_http": permitted.endpoint.startswith("http://"),
                "timeout": timedelta(days=7),
                "connect_timeout": timedelta(seconds=20),
            },
        )

    def digest_said(self, key: str, size: int) -> str | None:
        """Return the SHA-512 (hex) that is kept with an object of this size; None if there is no such object."""
        with self._asking(key):
            try:
                found = self._library.get(self._store, key, options={"head": True})
            except (FileNotFoundError, self._library.exceptions.NotFoundError):
                return None
            return found.attributes.get(DIGEST) if found.meta["size"] == size else None

    def put(self, key: str, pieces: Iterable[bytes], sha512: str) -> None:
        """Put an object, whole or not at all."""
        with self._asking(key):
            self._library.put(
                self._store,
                key,
                _parts(pieces),
                attributes={DIGEST: sha512},
                chunk_size=PART_BYTES,
                max_concurrency=2,
            )

    def digest(self, key: str) -> str:
        """Return the SHA-512 (hex) of what an object holds, read back."""
        running = hashlib.sha512()
        with self._asking(key):
            for piece in self._library.get(self._store, key).stream(min_chunk_size=1 << 20):
                running.update(piece)
        return running.hexdigest()

    @contextmanager
    def _asking(self, key: str) -> Iterator[None]:
        try:
            yield
        except (self._library.exceptions.BaseError, OSError, ValueError) as error:
            text = ascii(str(error).partition("\n")[0].partition("?")[0][:200])[1:-1]
            raise UncheckedError(
                f"cannot reach {key} of {self.name} at {self.endpoint}",
                found=text,
                hint="see to the server and the rights, then run the same command again: what is there stays",
            ) from error


def _library() -> ModuleType:
    try:
        import obstore
        import obstore.exceptions
        import obstore.store
    except ImportError as error:
        raise UsageError(
            "obstore is not installed, which buckets need", hint="install it: pip install 'airlift[buckets]'"
        ) from error
    return obstore


def _parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield bytes in parts of a size that servers take; the last may be smaller."""
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) >= PART_BYTES:
            yield bytes(held)
            held.clear()
    yield bytes(held)
