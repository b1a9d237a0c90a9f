"""Ask a registry: manifests and blobs by digest, and the token that it wants for them (OCI Distribution 1.1)."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from airlift.errors import DigestError, UncheckedError
from airlift.low.sources.arriving import Arriving
from airlift.low.sources.credentials import basic, registry_login
from airlift.low.sources.images import INDEXES, MANIFESTS, MAX_BYTES, Blob, type_of
from airlift.low.sources.land import Sleep, persist
from airlift.low.sources.plan import Pin, Wanted
from airlift.low.sources.web import Client, DeniedError, Place, read_bounded
from airlift.store.content import digest_bytes

_ACCEPT = ", ".join((*MANIFESTS, *INDEXES))
_PARAMETER = re.compile(r'([A-Za-z]+)="([^"]{0,2000})"')
_DOCKER = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
_LOGINS = {"registry-1.docker.io": "https://index.docker.io/v1/"}


@dataclass(slots=True)
class Registry:
    """A repository in a registry, as a reference without its digest names it: ``HOST/NAME``."""

    client: Client
    place: str
    sleep: Sleep
    _token: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Where its interface begins."""
        host, _, name = self.place.partition("/")
        host = _DOCKER.get(host, host)
        scheme = "http" if self.client.plain or Place.of(f"http://{host}").is_loopback else "https"
        return f"{scheme}://{host}/v2/{name}"

    def manifest(self, pin: Pin) -> tuple[Blob, bytes]:
        """Return a manifest, and what it is.

        Raises:
            DigestError: it does not have its digest.
            MalformedError: it is no manifest.
            NotHeldError: the registry does not have it.
            UncheckedError: it cannot be asked, or does not let it be read.
        """
        reference = f"{self.place}@{pin}"
        data, stated = persist(lambda: self._read(pin, reference), self.sleep)
        found = digest_bytes(data)
        pin.check(f"the manifest of {reference}", found, "do not use this registry for it; ask its maker")
        return Blob(type_of(data, stated, reference), pin, len(data), {}), data

    def manifest_of(self, blob: Blob) -> bytes:
        """Return a manifest that an index names; as :meth:`manifest`."""
        found, data = self.manifest(blob.pin)
        if (found.size, found.type) != (blob.size, blob.type):
            raise DigestError(f"an index of {self.place} says otherwise what {blob.pin} is")
        return data

    def blob_url(self, pin: Pin) -> str:
        """Return where a blob is."""
        return f"{self.url}/blobs/{pin}"

    @contextmanager
    def origin(self, wanted: Wanted, offset: int, mark: str | None) -> Iterator[Arriving]:
        """Open a blob: an ``Origin``."""
        with self._open(wanted.url, offset, mark, {}) as arriving:
            yield arriving

    def _read(self, pin: Pin, reference: str) -> tuple[bytes, str]:
        with self._open(f"{self.url}/manifests/{pin}", 0, None, {"Accept": _ACCEPT}) as arriving:
            return read_bounded(arriving, MAX_BYTES, f"the manifest of {reference}"), arriving.type

    @contextmanager
    def _open(self, url: str, offset: int, mark: str | None, headers: dict[str, str]) -> Iterator[Arriving]:
        """Open what is at ``url``; if the registry wants a token, with one."""
        try:
            opened = self.client.arrive(url, offset, mark, {**headers, **self._authorization()})
            arriving = opened.__enter__()
        except DeniedError as denied:
            self._token = self._authorise(denied)
            opened = self.client.arrive(url, offset, mark, {**headers, **self._authorization()})
            arriving = opened.__enter__()
        try:
            yield arriving
        finally:
            opened.__exit__(None, None, None)

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": self._token} if self._token else {}

    def _authorise(self, denied: DeniedError) -> str:
        """Return what a registry wants in ``Authorization``, by its challenge and what is kept for it."""
        host = urlsplit(self.url).netloc
        login = registry_login(self.place.partition("/")[0])
        if login.user is None and host in _LOGINS:
            login = registry_login(_LOGINS[host])
        kept = None if login.user is None else basic(*login.user)
        scheme, _, rest = denied.challenge.partition(" ")
        if scheme.lower() == "basic" and kept is not None:
            return kept
        asked = {key.lower(): value for key, value in _PARAMETER.findall(rest)}
        if scheme.lower() != "bearer" or "realm" not in asked:
            raise self._without_login(denied, login.helper) from denied
        return "Bearer " + self._fetch_token(asked, kept, denied, login.helper)

    def _fetch_token(
        self, asked: dict[str, str], kept: str | None, denied: DeniedError, helper: str | None
    ) -> str:
        name = self.place.partition("/")[2]
        query = urlencode(
            {
                **({"service": asked["service"]} if "service" in asked else {}),
                "scope": f"repository:{name}:pull",
            }
        )
        realm = asked["realm"]
        if Place.of(self.url).scheme == "https" and Place.of(realm).scheme != "https":
            raise UncheckedError(f"{self.place}: the registry wants credentials to be sent without TLS")
        url = f"{realm}{'&' if '?' in realm else '?'}{query}"
        try:
            with self.client.arrive(url, headers={"Authorization": kept} if kept else {}) as arriving:
                document = json.loads(read_bounded(arriving, MAX_BYTES, "the answer with a token"))
        except DeniedError as error:
            raise self._without_login(error, helper) from error
        except (ValueError, RecursionError) as error:
            raise UncheckedError(f"{self.place}: the registry gives no token that can be read") from error
        token = document.get("token") or document.get("access_token") if isinstance(document, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise self._without_login(denied, helper)
        return token

    def _without_login(self, denied: DeniedError, helper: str | None) -> UncheckedError:
        host = self.place.partition("/")[0]
        error = UncheckedError(
            f"registry {host} does not let {self.place} be read",
            found=denied.found,
            hint=f"log in first: skopeo login {host} (or docker, podman, oras), then run the same command again",
        )
        if helper:
            error.hint = (
                f"its credentials are kept by the program {ascii(helper)[1:-1]}, and airlift runs none: log in with "
                f"skopeo login --authfile auth.json {host}, and set REGISTRY_AUTH_FILE=auth.json"
            )
        return error
