"""Ask a Hugging Face endpoint once, and say what its answer means: the only module of airlift that opens sockets.

``huggingface_hub`` is imported inside the function that needs it (extra ``low``). It knows where the endpoint is,
which token goes to it, and keeps the connections; redirects are followed one by one, so that each is judged.
"""

import email.utils
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol
from urllib.parse import urlsplit

from airlift.errors import (
    AirliftError,
    KeyUnavailableError,
    ManifestError,
    NotHeldError,
    UncheckedError,
    UsageError,
)
from airlift.low.release.hub.patience import BrokenOffError
from airlift.shown import clean

MAX_REDIRECTS = 10
MAX_TOLD = 200
CONNECT = 10.0
"""Seconds until a connection stands."""
REACHABLE = "check the network and HF_ENDPOINT, then run the same command again; what was fetched is kept"

_LATER = {408, 429}
_GONE = {"RepoNotFound", "RevisionNotFound", "EntryNotFound"}
_REPO = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?")
_RESET = re.compile(r";\s*t\s*=\s*(\d{1,9})")


class Answer(Protocol):
    """What the HTTP library gives as an answer, as far as it is used."""

    status_code: int
    headers: Mapping[str, str]
    links: Mapping[str, Mapping[str, str]]

    def iter_raw(self) -> Iterator[bytes]:
        """Yield the bytes of the body as they arrive."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for, in words and by address, with more headers; without a byte for ``seconds`` it is broken off.

    ``commit`` is what each answer on the way must be of, if it says so. Without ``seconds`` it is
    HF_HUB_DOWNLOAD_TIMEOUT that counts.
    """

    what: str
    address: str
    headers: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    seconds: float | None = None


@dataclass(slots=True)
class Endpoint:
    """An endpoint: its address without a slash at the end, what goes with every question, and the connections.

    ``answered`` says whether it ever did.
    """

    library: ModuleType
    address: str
    headers: Mapping[str, str] = field(repr=False)
    answered: bool = False

    def file_address(self, repo: str, revision: str, path: str) -> str:
        """Return where a file of a commit is to be had."""
        address: str = self.library.hf_hub_url(repo, path, revision=revision, endpoint=self.address)
        return address

    @contextmanager
    def asking(self, question: Question) -> Iterator[Answer]:
        """Ask; give the answer, whose body is still to come.

        Raises:
            BrokenOffError: it was put off, or breaks off while the body is read.
            NotHeldError: the endpoint does not have it.
            UncheckedError: the endpoint cannot be reached, does not permit it, or answers something else.
        """
        what = question.what
        session = self.library.utils.get_session()
        transport = sys.modules[type(session).__module__.partition(".")[0]]
        try:
            timeout = float(question.seconds or self.library.constants.HF_HUB_DOWNLOAD_TIMEOUT)
            request = session.build_request(
                "GET",
                question.address,
                headers={**self.headers, "Accept-Encoding": "identity", **question.headers},
                timeout=transport.Timeout(timeout, connect=min(timeout, CONNECT)),
            )
            answer = self._follow(session, request, question)
            try:
                self._judge(answer, what, {200, 206, 416} if "Range" in question.headers else {200})
                yield answer
            finally:
                answer.close()
        except (transport.TimeoutException, transport.NetworkError, transport.RemoteProtocolError) as error:
            if not self.answered:
                raise self._unusable(what, error) from error
            raise BrokenOffError(f"{what} broke off", found=self._told(error)) from error
        except (transport.HTTPError, transport.InvalidURL, OSError, ValueError) as error:
            raise self._unusable(what, error) from error

    def _follow(self, session: Any, request: Any, question: Question) -> Any:
        """Return the first answer that is no redirect. The library drops the token where the origin changes."""
        what = question.what
        for _ in range(MAX_REDIRECTS + 1):
            answer = session.send(request, stream=True, follow_redirects=False)
            self.answered = True
            try:
                self._check_commit(answer.headers, question)
            except UncheckedError:
                answer.close()
                raise
            if answer.next_request is None:
                return answer
            answer.close()
            if (request.url.scheme, answer.next_request.url.scheme) == ("https", "http"):
                raise UncheckedError(f"{what} is led from https to http", hint=REACHABLE)
            request = answer.next_request
        raise UncheckedError(
            f"{what} is led on too often", expected=f"at most {MAX_REDIRECTS} redirects", hint=REACHABLE
        )

    def _check_commit(self, headers: Mapping[str, str], question: Question) -> None:
        """Refuse an answer that says of itself that it is of another commit."""
        commit = headers.get("X-Repo-Commit", question.commit or "")
        if question.commit is not None and commit != question.commit:
            raise UncheckedError(
                f"{question.what} is given of another commit",
                expected=question.commit,
                found=self.tell(commit),
                hint=REACHABLE,
            )

    def _judge(self, answer: Any, what: str, good: set[int]) -> None:
        """Refuse an answer that is not what was asked for; ``good`` are the states that the caller looks at."""
        status = int(answer.status_code)
        if status in good:
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                raise UncheckedError(
                    f"{what} is compressed, although it was asked for plain",
                    found=self.tell(answer.headers["Content-Encoding"]),
                    hint="ask the endpoint's operator, or use another (HF_ENDPOINT)",
                )
            return
        code, said = answer.headers.get("X-Error-Code", ""), answer.headers.get("X-Error-Message", "")
        found = self.tell(" ".join(part for part in (str(status), code, said) if part))
        if status in _LATER or status >= 500:
            raise BrokenOffError(f"{what} was put off", found=found, asked=_asked(answer.headers))
        raise self._refusal(status, code, what, found)

    def _refusal(self, status: int, code: str, what: str, found: str) -> AirliftError:
        if code == "GatedRepo":
            return UncheckedError(
                f"{what} is given only to those who accepted its terms",
                found=found,
                hint=f"accept them at {self.place}, set HF_TOKEN, then run the same command again",
            )
        if code in _GONE:
            return NotHeldError(
                f"the endpoint does not have {what}",
                found=found,
                hint="check name and revision; if it is private or gated, set HF_TOKEN",
            )
        if status in {401, 403}:
            return KeyUnavailableError(
                f"the endpoint does not permit {what}",
                expected="a token that may read it",
                found=found,
                hint="check the name; if it is private or gated, set HF_TOKEN, then run the same command again",
            )
        return UncheckedError(f"cannot fetch {what}", found=found, hint=REACHABLE)

    @property
    def place(self) -> str:
        """The address for people, without names and passwords in it."""
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def tell(self, text: str) -> str:
        """Return what somebody else wrote, safe to show: short, on one line, and without the token."""
        token = self.headers.get("Authorization", "").partition(" ")[2]
        shown = text.replace(token, "[token]") if token else text
        shown = re.sub(r"//[^/\s@]*@", "//", re.sub(r"\?\S*", "?...", shown))
        return clean(shown)[:MAX_TOLD]

    def _told(self, error: Exception) -> str:
        return self.tell(f"{type(error).__name__}: {error}")

    def _unusable(self, what: str, error: Exception) -> UncheckedError:
        hint = REACHABLE
        if isinstance(error, self.library.errors.OfflineModeIsEnabled):
            hint = "take HF_HUB_OFFLINE out of the environment, then run the same command again"
        return UncheckedError(f"cannot fetch {what}", found=self._told(error), hint=hint)


def find_endpoint() -> Endpoint:
    """Return the endpoint that HF_ENDPOINT names, or the library's own; nothing is asked yet.

    Raises:
        UsageError: huggingface_hub is not installed, or HF_ENDPOINT is no address.
        KeyUnavailableError: the token cannot be sent.
    """
    stated = os.environ.get("HF_ENDPOINT")
    if stated:
        _check_address(stated.rstrip("/"))  # before the library reads it, once for the whole process
    library = _library()
    address = (stated or library.constants.ENDPOINT).rstrip("/")
    token = _find_token(library)
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise KeyUnavailableError(
            "the token for the endpoint is none",
            expected="letters, digits and signs without blanks",
            hint="correct HF_TOKEN, then run the same command again",
        )
    return Endpoint(
        library, address, {"User-Agent": "airlift"} | ({"Authorization": f"Bearer {token}"} if token else {})
    )


def _find_token(library: ModuleType) -> str | None:
    """Return the token that the library finds; its own headers would tell the endpoint more about this machine."""
    if library.constants.HF_HUB_DISABLE_IMPLICIT_TOKEN:
        return None
    errors = library.errors
    try:
        token: str | None = library.get_token()
    except (OSError, ValueError, errors.HTTPError, getattr(errors, "OIDCError", OSError)) as error:
        raise KeyUnavailableError(
            "the token for the endpoint cannot be had",
            found=type(error).__name__,
            hint="set HF_TOKEN, then run the same command again",
        ) from error
    return token


def check_repo(library: ModuleType, repo: str) -> None:
    """Refuse what cannot be the name of a repository.

    Raises:
        ManifestError: it cannot.
    """
    try:
        library.utils.validate_repo_id(repo)
        good = _REPO.fullmatch(repo) is not None  # some versions of the library let a newline through
    except ValueError:
        good = False
    if not good:
        raise ManifestError(
            "this is no name of a repository",
            expected="ORG/NAME, or NAME",
            found=ascii(repo[:80]),
            hint="name it as its page does: ORG/NAME; an address begins with https://, s3://, gs://, az:// or oci://",
        )


def _check_address(address: str) -> None:
    with suppress(ValueError):
        parts = urlsplit(address)
        if parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port):
            return
    raise UsageError(
        "HF_ENDPOINT is no address of an endpoint",
        expected="https://HOST, or http://HOST:PORT",
        hint="correct it, or take it out of the environment; then run the same command again",
    )


def _library() -> ModuleType:
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError as error:
        raise UsageError(
            "huggingface_hub is not installed", hint="install it on the low side: pip install 'airlift[low]'"
        ) from error
    return huggingface_hub


def _asked(headers: Mapping[str, str]) -> float:
    """Return for how many seconds an answer asks to be left alone (RFC 9110, section 10.2.3; RateLimit fields)."""
    wish = headers.get("Retry-After", "").strip()
    if wish.isdecimal():
        return float(wish[:9])
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, email.utils.parsedate_to_datetime(wish).timestamp() - time.time())
    reset = _RESET.search(headers.get("RateLimit", ""))
    return float(reset.group(1)) if reset else 0.0
