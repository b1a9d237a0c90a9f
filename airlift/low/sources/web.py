"""Ask a web server: TLS, redirects, ranges, proxies and credentials, over urllib3 (SPEC L2.19).

urllib3 is imported inside the functions that need it. Nothing of it is shown but the kind of a failure: texts of
exceptions may hold addresses that a server led to, and those may hold secrets.
"""

import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from airlift import __version__
from airlift.errors import NotHeldError, UncheckedError
from airlift.low.sources.arriving import PIECE_BYTES, Arriving, BrokenError
from airlift.low.sources.credentials import netrc_login
from airlift.low.sources.plan import Wanted

if TYPE_CHECKING:
    import urllib3

MAX_REDIRECTS = 10
CONNECT_SECONDS, READ_SECONDS = 30.0, 60.0
_FOR_ALL = {"Accept", "If-Range", "Range"}
"""Headers that servers get, too, to which another one leads; credentials are none of them."""
_AGAIN = {408, 425, 429}
_LED_ON = {301, 302, 303, 307, 308}
_RANGE = re.compile(r"bytes (?:(\d{1,19})-(\d{1,19})|\*)/(\d{1,19}|\*)")
WITHOUT_TLS = "use https, or say `plain_http: true` in the source (--plain-http) if you trust the network"


class DeniedError(UncheckedError):
    """A server asks for credentials, or for other ones; ``challenge`` is how (RFC 9110, 11.6.1)."""

    code = "access-denied"
    default_hint = "store credentials for that host where docs/sources.md says, and check what they may read"

    def __init__(self, message: str, *, found: str, challenge: str) -> None:
        super().__init__(message, found=found)
        self.challenge = challenge


@dataclass(frozen=True, slots=True)
class Place:
    """The server of a URL: scheme, host and port."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> "Place":
        """Return the server of ``url``.

        Raises:
            UncheckedError: it is no URL of a web server.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            host = (parts.hostname or "").lower()
        except ValueError:
            host, parts, port = "", urlsplit(""), 0
        if parts.scheme not in {"http", "https"} or not host:
            raise UncheckedError("a server leads to what is no web server", expected="an https URL")
        return cls(parts.scheme, host, port)

    def __str__(self) -> str:
        usual = (self.scheme, self.port) in {("https", 443), ("http", 80)}
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if usual else f":{self.port}")

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")


@dataclass(slots=True)
class Client:
    """Asks web servers; ``plain`` says that servers without TLS may be asked that are not on this machine."""

    plain: bool = False
    _pools: dict[str, "urllib3.PoolManager"] = field(default_factory=dict)

    def origin(self, wanted: Wanted, offset: int, mark: str | None) -> Any:
        """Open a wanted file: an ``Origin``."""
        return self.arrive(wanted.url, offset, mark)

    def measure(self, wanted: Wanted) -> int | None:
        """Return how long a file is, in bytes, if the server tells that without sending it: a ``Measure``."""
        with self.request(wanted.url, {}, {405, 501}.__contains__, method="HEAD") as response:
            stated = response.headers.get("Content-Length", "")
            told = response.status == 200 and re.fullmatch(r"\d{1,19}", stated) is not None
            return int(stated) if told else None

    @contextmanager
    def arrive(
        self, url: str, offset: int = 0, mark: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[Arriving]:
        """Open what is at ``url`` from ``offset`` on; ``headers`` go to the server of ``url`` only.

        Raises:
            BrokenError: it is worth another attempt.
            DeniedError: the server asks for credentials.
            NotHeldError: the server has no such thing.
            UncheckedError: anything else, with what a person can do.
        """
        ranged = {"Range": f"bytes={offset}-", **({"If-Range": mark} if mark else {})} if offset else {}
        with self.request(url, {**ranged, **(headers or {})}) as response:
            yield _arriving(url, offset, response)

    @contextmanager
    def request(
        self,
        url: str,
        headers: Mapping[str, str],
        accepted: Callable[[int], bool] | None = None,
        method: str = "GET",
    ) -> "Iterator[urllib3.BaseHTTPResponse]":
        """Give the answer at the end of redirects; its status is 200, 206, 416, or one that is accepted."""
        own, current = Place.of(url), url
        for _ in range(MAX_REDIRECTS + 1):
            place = self._allowed(current)
            sent = {key: headers[key] for key in headers if place == own or key in _FOR_ALL}
            sent |= {"User-Agent": f"airlift/{__version__}", "Accept-Encoding": "identity"}
            if "Authorization" not in sent and (login := netrc_login(place.host)):
                sent["Authorization"] = login
            with _translated(place):
                response = self._pool(place).urlopen(
                    method, current, headers=sent, redirect=False, retries=False, preload_content=False,
                    decode_content=False,
                )  # fmt: skip
            try:
                if response.status not in _LED_ON or "Location" not in response.headers:
                    if not (accepted and accepted(response.status)):
                        _judge(_shown(url), place, response)
                    yield response
                    return
                target = _joined(current, response.headers["Location"])
            finally:
                response.close()
            if place.scheme == "https" and Place.of(target).scheme != "https":
                raise UncheckedError(
                    f"{_shown(url)} leads to a server without TLS",
                    found=str(Place.of(target)),
                    hint=WITHOUT_TLS,
                )
            current = target
        raise UncheckedError(f"{_shown(url)} leads on and on", expected=f"at most {MAX_REDIRECTS} redirects")

    def _allowed(self, url: str) -> Place:
        place = Place.of(url)
        if place.scheme == "http" and not (self.plain or place.is_loopback):
            raise UncheckedError(f"{place} is not protected by TLS", expected="https", hint=WITHOUT_TLS)
        return place

    def _pool(self, place: Place) -> "urllib3.PoolManager":
        """Return the connections to use: direct ones, or those of the proxy that the environment names."""
        import urllib3

        proxy = "" if place.is_loopback or proxy_bypass(place.host) else getproxies().get(place.scheme, "")
        if proxy and "://" not in proxy:
            proxy = f"http://{proxy}"
        if proxy not in self._pools:
            timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
            common: dict[str, Any] = {"timeout": timeout, "ssl_context": ssl.create_default_context()}
            self._pools[proxy] = (
                urllib3.ProxyManager(_without_user(proxy), proxy_headers=_proxy_login(proxy), **common)
                if proxy
                else urllib3.PoolManager(**common)
            )
        return self._pools[proxy]


def _joined(url: str, target: str) -> str:
    try:
        return urljoin(url, target)
    except ValueError as error:
        raise UncheckedError(f"{Place.of(url)} leads to what is no address") from error


def _arriving(url: str, offset: int, response: "urllib3.BaseHTTPResponse") -> Arriving:
    """Read where an answer begins, and how long the file is."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        raise UncheckedError(
            f"{_shown(url)} is answered in an encoding that was not asked for",
            expected="identity",
            found=ascii(encoding[:40]),
        )
    mark = response.headers.get("ETag")
    mark = mark if mark is not None and mark.startswith('"') else None
    kind = response.headers.get("Content-Type", "")
    if response.status == 200:
        return Arriving(0, _length(url, response), _pieces(url, response), mark, kind)
    found = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    total = None if found is None or found[3] == "*" else int(found[3])
    if response.status == 416:
        if total == offset:
            return Arriving(offset, total, iter(()), mark)
        raise BrokenError(f"{_shown(url)} has changed, or has no ranges", found="status 416", restart=True)
    if found is None or found[1] is None:
        raise BrokenError(
            f"{_shown(url)} does not tell what part of it came", found="status 206", restart=True
        )
    return Arriving(int(found[1]), total, _pieces(url, response), mark, kind)


def _length(url: str, response: "urllib3.BaseHTTPResponse") -> int | None:
    stated = response.headers.get("Content-Length")
    if stated is not None and re.fullmatch(r"\d{1,19}", stated):
        return int(stated)
    if response.headers.get("Transfer-Encoding", "").lower() != "chunked":
        raise UncheckedError(
            f"{_shown(url)} is answered without a length: where it ends cannot be told from where it breaks off",
            expected="a Content-Length, or chunks",
        )
    return None


def _pieces(url: str, response: "urllib3.BaseHTTPResponse") -> Iterator[bytes]:
    place = Place.of(url)
    stream = response.stream(PIECE_BYTES, decode_content=False)
    while True:
        with _translated(place):
            piece = next(stream, None)
        if piece is None:
            return
        yield piece


def read_bounded(arriving: Arriving, limit: int, what: str) -> bytes:
    """Return the whole of a short answer.

    Raises:
        UncheckedError: it is longer than ``limit`` bytes.
    """
    parts, size = [], 0
    for piece in arriving.pieces:
        size += len(piece)
        if size > limit:
            raise UncheckedError(f"{what} is too long", expected=f"at most {limit} bytes")
        parts.append(bytes(piece))
    return b"".join(parts)


def _judge(shown: str, place: Place, response: "urllib3.BaseHTTPResponse") -> None:
    """Raise what a status means that is not what was asked for."""
    status = response.status
    if status in {200, 206, 416}:
        return
    if status in {401, 403, 407}:
        raise DeniedError(
            f"{place} does not let {shown} be read",
            found=f"status {status}",
            challenge=response.headers.get("WWW-Authenticate", ""),
        )
    if status in {404, 410}:
        raise NotHeldError(
            f"{place} does not have {shown}", found=f"status {status}", hint="check the address"
        )
    if status in _AGAIN or status >= 500:
        wait = _seconds(response.headers.get("Retry-After", ""))
        raise BrokenError(f"{place} cannot answer now", found=f"status {status}", wait=wait)
    raise UncheckedError(
        f"{place} does not answer as a server of files does",
        found=f"status {status} to {shown}",
        hint="check the address, with a browser or curl",
    )


def _seconds(text: str) -> float | None:
    """Return what ``Retry-After`` says; None for a date that is over, or anything else."""
    if re.fullmatch(r"\d{1,6}", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None

    left = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return left if left > 0 else None


@contextmanager
def _translated(place: Place) -> Iterator[None]:
    """Turn what urllib3 raises into errors of ours."""
    import urllib3.exceptions as failures

    try:
        yield
    except (failures.HTTPError, OSError) as error:
        text = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in text:
            raise UncheckedError(
                f"the certificate of {place} is not valid here",
                expected="one of an authority that this system knows, for that name",
                found=_reason(text),
                hint="name the file of your authority: SSL_CERT_FILE=authority.pem",
            ) from error
        raise BrokenError(
            f"cannot fetch from {place}", found=f"{type(error).__name__}: {_cause(error)}"
        ) from error


def _reason(text: str) -> str:
    found = re.search(r"certificate verify failed: ([^(]{1,120})", text)
    return found[1].strip() if found else "certificate verify failed"


def _cause(error: BaseException) -> str:
    """Return in a few words why a connection failed, from what the system said alone."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror[:120]
        seen = seen.__cause__ or seen.__context__
    return "the connection broke off, or was too slow"


def _shown(url: str) -> str:
    """Return a URL that the manifest states, for messages."""
    return url.partition("?")[0][:300]


def _without_user(proxy: str) -> str:
    scheme, _, rest = proxy.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _proxy_login(proxy: str) -> Mapping[str, str] | None:
    import urllib3.util

    login = proxy.partition("://")[2].rpartition("@")[0]
    return urllib3.util.make_headers(proxy_basic_auth=login) if login else None
