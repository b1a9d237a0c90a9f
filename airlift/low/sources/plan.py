"""What is fetched for a source, and what pins it, before anything is asked for (SPEC L2.19). Pure.

>>> pin = "sha256:" + "0" * 64
>>> source = {"https": "https://models.example/base/", "files": [{"path": "a b.json", "digest": pin}]}
>>> [(item.path, item.url) for item in read_files("https", source, ())]
[('a b.json', 'https://models.example/base/a%20b.json')]
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from airlift.bundle.component import source as sources
from airlift.bundle.component.file_entry import MAX_FILES
from airlift.bundle.paths import check_relative
from airlift.errors import DigestError, MalformedError, ManifestError
from airlift.store.digests import Digested

BUCKETS = ("s3", "gs", "az")
MAX_LIST_BYTES = 64 << 20
HEX = {"sha256": 64, "sha512": 128}
_LINE = re.compile(r"\\?([0-9a-f]{64}|[0-9a-f]{128}) [ *](.+)")
_WRITE_ANEW = "correct that line, or write the list anew where the files are: sha256sum FILE... > {name}"
_SAFE = "/!$&'()*+,;=:~-._"


@dataclass(frozen=True, slots=True)
class Pin:
    """The digest that something must have: ``sha256`` or ``sha512``, and hex."""

    algorithm: str
    digest: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digest}"

    @classmethod
    def parse(cls, text: str) -> "Pin":
        """Return the pin ``sha256:HEX`` or ``sha512:HEX``.

        Raises:
            ManifestError: it is none.
        """
        algorithm, _, digest = text.partition(":")
        if len(digest) != HEX.get(algorithm) or not re.fullmatch("[0-9a-f]+", digest):
            raise ManifestError(
                "not a digest that can pin something",
                expected="sha256: and 64, or sha512: and 128 lower-case hex digits",
                found=ascii(text[:80]),
                hint="correct `digest`: copy all of it, as the vendor states it",
            )
        return cls(algorithm, digest)

    def check(self, path: str, found: Digested, hint: str) -> None:
        """Check that what came is what was pinned.

        Raises:
            DigestError: it is not.
        """
        digest = found.sha256 if self.algorithm == "sha256" else found.sha512
        if digest != self.digest:
            raise DigestError(
                f"{path} does not have the digest that it is pinned to",
                expected=str(self),
                found=f"{self.algorithm}:{digest}",
                hint=hint,
            )


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to be fetched: its path in the component, its address, and what pins it.

    ``url`` is that of a server or of an object (``s3://BUCKET/KEY``); ``version`` that of an object; ``size`` is its
    length in bytes, if it is stated.
    """

    path: str
    url: str
    pin: Pin | None = None
    version: str | None = None
    size: int | None = None
    endpoint: str | None = None

    @property
    def identity(self) -> str:
        """What it is known by before it is there (40 hex digits): its pin, or else the version of an object."""
        known = [str(self.pin)] if self.pin else [self.endpoint, self.url, self.version]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:40]


def read_files(kind: str, source: Mapping[str, Any], listed: Iterable[tuple[str, Pin]]) -> tuple[Wanted, ...]:
    """Return the files of an authored source, sorted by path; ``listed`` are those of its list of digests.

    ``kind`` is the key under which the URL stands.

    Raises:
        ManifestError: the URL cannot be one, nothing pins a file, or a path is named twice.
    """
    url = source[kind]
    _check_url(kind, url)
    below = "files" in source or "digests" in source
    if below == ("digest" in source or "version" in source) or ("files" in source and "digests" in source):
        raise ManifestError(
            f"nothing pins what {url} has, or two things do",
            expected="one of `digest`, `files` and `digests`" + (", or `version`" if kind in BUCKETS else ""),
            hint="pin it by one `digest`, as the vendor states it: sha256: and hex digits",
        )
    if below != url.endswith("/"):
        raise ManifestError(
            f"{url} is {'one file' if below else 'a folder'}",
            expected="a URL that ends with `/` for several files, and one that does not for one",
            hint="correct the URL, or name the files: `files` or `digests`",
        )
    found = list(_below(kind, source, listed) if below else _alone(kind, source))
    return sort_files(found)


def read_reference(text: str) -> tuple[str, Pin]:
    """Return ``HOST/NAME`` and the digest of a reference of a registry; a tag beside the digest plays no part.

    Raises:
        ManifestError: it is not whole.
    """
    place, _, digest = text.removeprefix("oci://").partition("@")
    host, slash, name = place.partition("/")
    bare = f"{host}{slash}{name.partition(':')[0]}"
    if not sources.is_reference(f"{bare}@{digest}") or not (host == "localhost" or {".", ":"} & set(host)):
        raise ManifestError(
            "not a reference that is pinned, with its registry",
            expected="HOST[:PORT]/NAME@sha256:HEX",
            found=ascii(text[:120]),
            hint="ask for the digest: skopeo inspect --format '{{.Digest}}' docker://HOST/NAME:TAG",
        )
    return bare, Pin.parse(digest)


def parse_digest_list(name: str, data: bytes) -> Iterator[tuple[str, Pin]]:
    """Yield path and pin of every line of a list as sha256sum(1) and sha512sum(1) write it.

    Raises:
        ManifestError: a line is none of these; the message names it.
    """
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{name}: not UTF-8", found=f"byte {error.start}", hint=_WRITE_ANEW.format(name=name)
        ) from error
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None or line.startswith("\\"):
            raise ManifestError(
                f"{name}:{number}: not a digest and a path",
                expected="a line of sha256sum or sha512sum",
                found=ascii(line[:80]),
                hint=_WRITE_ANEW.format(name=name),
            )
        digest, path = found[1], found[2].removeprefix("./")
        yield path, Pin("sha256" if len(digest) == HEX["sha256"] else "sha512", digest)


def record(
    kind: str, source: Mapping[str, Any], wanted: Iterable[Wanted], endpoint: str | None
) -> dict[str, Any]:
    """Return what the release manifest states of a source that is a URL (SPEC 5.1-19)."""
    if kind == sources.HTTPS:
        return {"kind": sources.HTTPS, "url": source[kind]}
    versions = [{"path": item.path, "version": item.version} for item in wanted if item.version is not None]
    return {
        "kind": sources.BUCKET,
        "url": source[kind],
        **({"endpoint": endpoint} if endpoint else {}),
        **({"versions": versions} if versions else {}),
    }


def _check_url(kind: str, url: str) -> None:
    known = sources.HTTPS if kind == sources.HTTPS else sources.BUCKET
    if not sources.is_url(known, url):
        raise ManifestError(
            f"not a URL that can be fetched: {bare_url(url)}",
            expected=f"{kind}://... of printable ASCII, without a user, a query or a fragment",
            hint="write special characters as %XX, and keep secrets out of it: see docs/sources.md",
        )


def bare_url(url: str) -> str:
    """Return a URL for a message, without what may be secret in it."""
    scheme, _, rest = re.split(r"[?#]", url, maxsplit=1)[0].partition("://")
    host, _, path = rest.partition("/")
    return ascii(f"{scheme}://{host.rpartition('@')[2]}/{path}"[:200])[1:-1]


def _alone(kind: str, source: Mapping[str, Any]) -> Iterator[Wanted]:
    url = source[kind]
    name = url.rpartition("/")[2]
    path = check_path(source.get("path", unquote(name) if kind == sources.HTTPS else name))
    yield _wanted(path, url, source)


def _below(kind: str, source: Mapping[str, Any], listed: Iterable[tuple[str, Pin]]) -> Iterator[Wanted]:
    if "path" in source or "bytes" in source:
        raise ManifestError(
            "`path` and `bytes` beside a list of files", hint="state them for each file, in `files`"
        )
    for path, pin in listed:
        yield Wanted(check_path(path), _joined(kind, source[kind], path), pin)
    for item in source.get("files", ()):
        path = check_path(item["path"])
        yield _wanted(path, _joined(kind, source[kind], path), item)


def _wanted(path: str, url: str, item: Mapping[str, Any]) -> Wanted:
    pin = Pin.parse(item["digest"]) if "digest" in item else None
    version = item.get("version")
    if version == "null" or (pin is None and version is None):
        raise ManifestError(
            f"nothing pins {path}",
            expected="`digest`, or the `version` of an object in a bucket that keeps versions",
            found="version null" if version == "null" else None,
            hint="pin it by `digest`, as the vendor states it: sha256: and hex digits",
        )
    return Wanted(path, url, pin, version, item.get("bytes"))


def _joined(kind: str, url: str, path: str) -> str:
    return url + (quote(path, _SAFE) if kind == sources.HTTPS else path)


def check_path(path: str) -> str:
    """Return ``path`` if a file of a component can have it.

    Raises:
        ManifestError: it cannot.
    """
    try:
        return check_relative(path)
    except MalformedError as error:
        raise ManifestError(
            f"{path[:80]!a} cannot be the path of a file: {error.message}",
            expected=error.expected,
            found=error.found,
            hint="give the file another one: `path`",
        ) from error


def sort_files(found: Collection[Wanted]) -> tuple[Wanted, ...]:
    """Return files sorted by path.

    Raises:
        ManifestError: a path stands twice, or there are too many, or none.
    """
    paths = {item.path for item in found}
    if len(paths) != len(found) or len(found) > MAX_FILES or not found:
        raise ManifestError(
            "files of a source are named twice, or too many, or none is",
            expected=f"1 to {MAX_FILES} files, each once",
            found=f"{len(found)} files, {len(paths)} paths",
            hint="correct the list of files: `files` or `digests`",
        )
    return tuple(sorted(found, key=lambda item: item.path))
