"""What an endpoint says that a commit holds, read within bounds (SPEC L2.10a)."""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from airlift.bundle.component.file_entry import MAX_FILES
from airlift.errors import UncheckedError
from airlift.low.release.hub.endpoint import Answer, Endpoint, Question
from airlift.low.release.hub.patience import BrokenOffError, Patience
from airlift.low.release.hub.proof import Listed

MAX_BYTES = 128 << 20
MAX_OBJECTS = 1 << 20
MAX_COMMAS = 1 << 22
MAX_SECONDS = 300.0
MAX_PAGES = 1000
MAX_SIZE = 1 << 53
PATIENT = 60.0
"""Seconds without a byte: a listing is made when it is asked for."""
ANOTHER = "use another endpoint (HF_ENDPOINT), or ask its operator"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")

Listing = dict[str, Listed | None]
"""The files of a commit by path; None if the endpoint says a path alone."""


def list_commit(endpoint: Endpoint, repo: str, revision: str, tell: Callable[[str], None]) -> Listing:
    """Return the files of a commit.

    Raises:
        NotHeldError: the endpoint does not have it.
        UncheckedError: the endpoint cannot be asked, or answers with another commit, or with what is no listing.
    """
    what = f"{repo} at {revision}"
    answer, _ = _ask(endpoint, f"api/models/{repo}/revision/{revision}?blobs=true", what, tell)
    document = _object(answer, what)
    if document.get("sha") != revision:
        raise UncheckedError(
            f"the endpoint answered with another commit of {repo}",
            expected=revision,
            found=ascii(document.get("sha"))[:80],
            hint=ANOTHER,
        )
    return _files(document.get("siblings"), "rfilename", "blobId", "sha256", what)


def list_tree(endpoint: Endpoint, repo: str, revision: str, tell: Callable[[str], None]) -> Listing:
    """Return the files of a commit as its tree lists them: slower, and known to more endpoints.

    Raises:
        NotHeldError, UncheckedError: as :func:`list_commit`.
    """
    what = f"the tree of {repo} at {revision}"
    place: str | None = f"api/models/{repo}/tree/{revision}?recursive=true"
    found: Listing = {}
    for _ in range(MAX_PAGES):
        document, place = _ask(endpoint, place or "", what, tell)
        files = [item for item in _items(document, what) if item.get("type") == "file"]
        page = _files(files, "path", "oid", "oid", what)
        if not found.keys().isdisjoint(page) or len(found) + len(page) > MAX_FILES:
            raise _unusable(what, f"more than {MAX_FILES} files, or one of them twice")
        found |= page
        if place is None:
            return found
    raise _unusable(what, f"more than {MAX_PAGES} pages")


def find_newest(endpoint: Endpoint, repo: str, branch: str, tell: Callable[[str], None]) -> str:
    """Return the newest commit of a branch.

    Raises:
        NotHeldError: the endpoint does not have it.
        UncheckedError: the endpoint cannot be asked, or names no commit.
    """
    what = f"branch {branch} of {repo}"
    answer, _ = _ask(endpoint, f"api/models/{repo}/revision/{branch}", what, tell)
    sha = _object(answer, what).get("sha")
    if not isinstance(sha, str) or not _COMMIT.fullmatch(sha):
        raise UncheckedError(
            f"the endpoint tells no commit of {what}",
            expected="40 hex digits",
            found=ascii(sha)[:80],
            hint=ANOTHER,
        )
    return sha


def _ask(endpoint: Endpoint, place: str, what: str, tell: Callable[[str], None]) -> tuple[Any, str | None]:
    """Return an answer in JSON, and where its next page is."""
    patience = Patience(tell)
    question = Question(what, f"{endpoint.address}/{place}", seconds=PATIENT)
    while True:
        try:
            with endpoint.asking(question) as answer:
                return _parse(_read(answer, what), what), _next(answer)
        except BrokenOffError as error:
            patience.wait(error)


def _read(answer: Answer, what: str) -> bytes:
    parts, length, until = list[bytes](), 0, time.monotonic() + MAX_SECONDS
    for part in answer.iter_raw():
        parts.append(part)
        length += len(part)
        if length > MAX_BYTES:
            raise _unusable(what, f"more than {MAX_BYTES} bytes")
        if time.monotonic() > until:
            raise _unusable(what, f"not whole after {MAX_SECONDS:g} s")
    return b"".join(parts)


def _parse(data: bytes, what: str) -> Any:
    if data.count(b"{") + data.count(b"[") > MAX_OBJECTS or data.count(b",") > MAX_COMMAS:
        raise _unusable(what, f"more than {MAX_OBJECTS} objects and lists, or {MAX_COMMAS} commas")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _unusable(what, "no JSON") from error


def _object(document: Any, what: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise _unusable(what, "no JSON object")
    return document


def _next(answer: Answer) -> str | None:
    """Return where the next page is, below the endpoint's own address: nobody else is asked."""
    address = answer.links.get("next", {}).get("url")
    if address is None:
        return None
    return f"api/models/{address.partition('/api/models/')[2]}"


def _items(document: Any, what: str) -> Iterable[Mapping[str, Any]]:
    if not isinstance(document, list) or not all(isinstance(item, dict) for item in document):
        raise _unusable(what, "no list of files")
    return document


def _files(items: Any, path: str, blob: str, sha256: str, what: str) -> Listing:
    """Return the files that ``items`` list; the other arguments are what an item calls these things."""
    found: Listing = {}
    for item in _items(items, what):
        name = item.get(path)
        if not isinstance(name, str) or not _is_text(name) or name in found:
            raise _unusable(what, f"a file without a name, or one twice: {ascii(name)[:80]}")
        found[name] = _listed(name, item, item.get(blob), sha256)
    if len(found) > MAX_FILES:
        raise _unusable(what, f"more than {MAX_FILES} files")
    return found


def _listed(name: str, item: Mapping[str, Any], blob: Any, sha256: str) -> Listed | None:
    """Return what an item says of a file, if it says enough."""
    size, lfs = item.get("size"), item.get("lfs")
    digest, pattern = (blob, _COMMIT) if lfs is None else (None, _SHA256)
    if isinstance(lfs, dict):
        digest, size = lfs.get(sha256), lfs.get("size", size)
    if not isinstance(digest, str) or not pattern.fullmatch(digest):
        return None
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_SIZE:
        return None
    return Listed(name, size, digest, lfs is not None)


def _is_text(name: str) -> bool:
    return bool(name) and not any("\ud800" <= letter <= "\udfff" for letter in name)


def _unusable(what: str, found: str) -> UncheckedError:
    return UncheckedError(
        f"the endpoint's listing of {what} cannot be used",
        found=found,
        hint=ANOTHER,
    )
