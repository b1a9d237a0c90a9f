"""Ask a bucket: S3 and what speaks it, Google Cloud Storage, Azure Blob Storage, over obstore (SPEC L2.19).

obstore is imported inside the function that needs it (extra ``low``). It reads the environment, and the files of
gcloud, by itself; it does not read those of the AWS command line. Texts of its exceptions are cut before anything
that may be a query.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from airlift import files
from airlift.bundle.component import source as sources
from airlift.errors import ManifestError, NotHeldError, UncheckedError, UsageError
from airlift.low.sources.arriving import PIECE_BYTES, Arriving, BrokenError
from airlift.low.sources.credentials import MAX_BYTES, aws_profile
from airlift.low.sources.plan import Wanted
from airlift.low.sources.web import CONNECT_SECONDS, READ_SECONDS, WITHOUT_TLS, Place

_LONGEST = timedelta(days=7)
"""How long one answer may take; one that brings nothing is given up after READ_SECONDS."""
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_OWN_AWS = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_SKIP_SIGNATURE")  # fmt: skip
_DENIED = re.compile(r"\b(401|403)\b|unauthorized|forbidden", re.IGNORECASE)
_LOGIN = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; if it is public, AWS_SKIP_SIGNATURE=true",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN",
}


class Bucket:
    """A bucket, opened; ``endpoint`` is the URL that it is asked of, None if only the library knows."""

    def __init__(self, url: str, endpoint: str | None, *, plain: bool) -> None:
        """Open the bucket of ``url``; an ``endpoint`` that is stated goes before that of the environment.

        Raises:
            UsageError: obstore is not installed.
            ManifestError: the endpoint is no URL.
            UncheckedError: the endpoint has no TLS and is not on this machine, and not ``plain``; or the library
                cannot be told from the environment how to ask.
        """
        self.kind, _, rest = url.partition("://")
        self.name = rest.partition("/")[0]
        self._library = _library()
        profile = aws_profile() if self.kind == "s3" else {}
        self.endpoint = _endpoint(self.kind, endpoint, profile)
        http = _check_endpoint(self.endpoint, plain=plain)
        try:
            self._store = _open(self._library, self.kind, self.name, self.endpoint, profile, http=http)
        except _failures(self._library) as error:
            raise UncheckedError(
                f"cannot open {self.kind}://{self.name}", found=_told(error), hint=_LOGIN[self.kind]
            ) from error

    @contextmanager
    def origin(self, wanted: Wanted, offset: int, mark: str | None) -> Iterator[Arriving]:
        """Open an object: an ``Origin``."""
        result = self._ask(wanted, offset, {"if_match": mark} if mark and offset else {})
        tag = result.meta.get("e_tag")
        yield Arriving(result.range[0], int(result.meta["size"]), self._pieces(wanted.url, result), tag)

    def measure(self, wanted: Wanted) -> int | None:
        """Return how long an object is, in bytes: a ``Measure``."""
        return int(self._ask(wanted, 0, {"head": True}).meta["size"])

    def _ask(self, wanted: Wanted, offset: int, more: Mapping[str, Any]) -> Any:
        """Return what the library has of an object from ``offset`` on, in the version that is wanted."""
        key = wanted.url.partition("://")[2].partition("/")[2]
        options: dict[str, Any] = {
            **({"range": {"offset": offset}} if offset else {}),
            **({"version": wanted.version} if wanted.version is not None else {}),
            **more,
        }
        try:
            result = self._library.get(self._store, key, options=options)
        except _failures(self._library) as error:
            raise self._translated(wanted.url, error, offset) from error
        if wanted.version is not None and result.meta.get("version") != wanted.version:
            raise UncheckedError(
                f"{wanted.url} is answered with another version, or with one that is not told",
                expected=wanted.version[:80],
                found=ascii(result.meta.get("version"))[:80],
                hint="pin it by `digest`, if the bucket does not keep versions",
            )
        return result

    def _pieces(self, url: str, result: Any) -> Iterator[memoryview]:
        stream = iter(result.stream(min_chunk_size=PIECE_BYTES))
        while True:
            try:
                piece = next(stream, None)
            except _failures(self._library) as error:
                raise BrokenError(f"{url} broke off", found=_told(error)) from error
            if piece is None:
                return
            yield memoryview(piece)

    def _translated(self, url: str, error: BaseException, offset: int) -> UncheckedError | NotHeldError:
        """Return the error of ours for one of the library's; which of them is worth another attempt, too."""
        library, text = self._library.exceptions, _told(error)
        if isinstance(error, FileNotFoundError | library.NotFoundError):
            return NotHeldError(f"there is no {url}", hint="check the address, the version and the endpoint")
        if isinstance(error, library.PermissionDeniedError | library.UnauthenticatedError) or _DENIED.search(
            text
        ):
            return UncheckedError(f"{url} may not be read", found=text, hint=_LOGIN[self.kind])
        if isinstance(error, library.PreconditionError) or (offset and " 416 " in text):
            return BrokenError(f"{url} has changed", found=text, restart=True)
        if re.search(r"status code: 4(?!08|25|29)\d\d", text):
            return UncheckedError(
                f"{url} cannot be asked for like that", found=text, hint="check the address and the region"
            )
        if "certificate" in text.lower():
            hint = "name the file of your authority: SSL_CERT_FILE=authority.pem"
            return UncheckedError(
                f"the certificate of {self.endpoint or url} is not valid here", found=text, hint=hint
            )
        return BrokenError(f"cannot fetch {url}", found=text)


def _library() -> ModuleType:
    try:
        import obstore
        import obstore.exceptions
        import obstore.store
    except ImportError as error:
        raise UsageError(
            "obstore is not installed", hint="install it on the low side: pip install 'airlift[low]'"
        ) from error
    return obstore


def _failures(library: ModuleType) -> tuple[type[Exception], ...]:
    return (library.exceptions.BaseError, OSError, ValueError)


def _told(error: BaseException) -> str:
    """Return the first line of what a library says, without queries, and without what a server answered."""
    line = str(error).partition("\n")[0]
    line = re.sub(r"\?[^\s\"')]*", "?...", line)
    return ascii(line[:240])[1:-1] or type(error).__name__


def _endpoint(kind: str, stated: str | None, profile: Mapping[str, str]) -> str | None:
    """Return the URL that a bucket is asked of: as the manifest, the environment or the profile states it."""
    found = stated or next((os.environ[name] for name in _ENDPOINTS[kind] if os.environ.get(name)), None)
    found = found or profile.get("endpoint_url")
    account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
    if kind == "az" and found is None and account:
        found = f"https://{account}.blob.core.windows.net"
    return found.rstrip("/") if found else None


def _check_endpoint(endpoint: str | None, *, plain: bool) -> bool:
    """Check an endpoint, and say whether it is without TLS."""
    if endpoint is None:
        return False
    if not sources.is_endpoint(endpoint):
        raise ManifestError(
            "the endpoint of a bucket is no URL, or has a user or a query in it",
            expected="https://HOST[:PORT]",
            hint="correct `endpoint`, or the environment that states it: see docs/sources.md",
        )
    place = Place.of(endpoint)
    if place.scheme == "http" and not (plain or place.is_loopback):
        raise UncheckedError(f"{place} is not protected by TLS", expected="https", hint=WITHOUT_TLS)
    return place.scheme == "http"


def _open(
    library: ModuleType, kind: str, name: str, endpoint: str | None, profile: Mapping[str, str], *, http: bool
) -> Any:
    client: dict[str, Any] = {
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "read_timeout": timedelta(seconds=READ_SECONDS),
        "timeout": _LONGEST,
        "allow_http": http,
    }
    authority = os.environ.get("SSL_CERT_FILE")
    if authority and not http:
        client["root_certificate"] = files.read_bounded(Path(authority).resolve(), MAX_BYTES)
    options: dict[str, Any] = {"client_options": client, "retry_config": {"max_retries": 0}}
    if kind == "s3":
        return library.store.S3Store(name, config=_s3(endpoint, profile), **options)
    if kind == "gs":
        return library.store.GCSStore(name, config={"base_url": endpoint} if endpoint else {}, **options)
    return library.store.AzureStore(name, config={"endpoint": endpoint} if endpoint else {}, **options)


def _s3(endpoint: str | None, profile: Mapping[str, str]) -> dict[str, Any]:
    """Return what the library is told of S3: of credentials only those that it does not find by itself."""
    found: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    if profile.get("region") and not (os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")):
        found["region"] = profile["region"]
    if not any(os.environ.get(name) for name in _OWN_AWS) and "aws_access_key_id" in profile:
        found["access_key_id"] = profile["aws_access_key_id"]
        found["secret_access_key"] = profile.get("aws_secret_access_key", "")
        if "aws_session_token" in profile:
            found["session_token"] = profile["aws_session_token"]
    return found
