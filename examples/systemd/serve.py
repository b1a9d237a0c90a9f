"""What the units of a serving group, and the command of a policy, do beside systemd (docs/serving-hooks.md).

    serve.py pin ACTIVE PIN      the group starts: PIN leads to what ACTIVE leads to now, until the group ends
    serve.py ready URL           ExecStartPost of a server: wait until URL answers 200, or the server has ended
    serve.py ask FOLDER          the policy's command: ask for a restart of the group, and wait for how it ended
    serve.py take FOLDER         the unit that restarts takes the request
    serve.py answer FOLDER       and answers it, with systemd's word for how it ended ($SERVICE_RESULT)

FOLDER belongs to the user that runs airlift. A request says nothing but that there is one: whoever may write there
can have the group restarted, and nothing else. Exit 0: done. 1: not, and why.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

REQUEST, TAKEN, ANSWER = "request", "taken", "answer"
PAUSE_SECONDS = 0.2
TRY_SECONDS = 5
UNTAKEN_SECONDS = 30
LONGEST = 4096
"""Bytes of a request or an answer that are read."""
GOOD = "success"


class NotDoneError(Exception):
    """It was not done; the message says why."""


def pin(active: str, place: str) -> None:
    """Make ``place`` a link to the tree that the link ``active`` leads to at this moment.

    Raises:
        NotDoneError: nothing is active.
    """
    tree = Path(active).resolve()
    if not Path(active).is_symlink() or not tree.is_dir():
        raise NotDoneError(f"nothing is active: expected a link to a release at {active}")
    beside = Path(f"{place}.new")
    beside.unlink(missing_ok=True)
    beside.symlink_to(tree)
    beside.replace(place)
    print(f"serving {tree}")


def ready(url: str) -> None:
    """Wait until ``url`` answers 200; how long is for the unit to say (TimeoutStartSec).

    Raises:
        NotDoneError: the server (MAINPID) has ended.
    """
    server = int(os.environ["MAINPID"])
    while not _answers(url):
        if not _runs(server):
            raise NotDoneError(f"the server ended before it answered at {url}")
        time.sleep(PAUSE_SECONDS)


def ask(folder: str) -> None:
    """Ask for a restart and wait until it was made; how long is for the policy to say (timeout).

    Raises:
        NotDoneError: the restart failed, or nobody takes requests.
    """
    place, word = Path(folder), uuid.uuid4().hex
    _write(place / REQUEST, {"word": word})
    end = time.monotonic() + UNTAKEN_SECONDS
    while (answer := _read(place / ANSWER)).get("word") != word:
        if time.monotonic() > end and (place / REQUEST).exists() and not (place / TAKEN).exists():
            (place / REQUEST).unlink(missing_ok=True)
            raise NotDoneError("nobody takes the request: is airlift-serve-restart.path started?")
        time.sleep(PAUSE_SECONDS)
    if answer.get("result") != GOOD:
        raise NotDoneError(f"the servers did not come up: systemd says {answer.get('result')}")
    print("the servers answer")


def take(folder: str) -> None:
    """Take the request, if there still is one: from now on another one is a new one."""
    place = Path(folder)
    (place / TAKEN).unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        (place / REQUEST).replace(place / TAKEN)


def answer(folder: str) -> None:
    """Say how what was taken ended."""
    place = Path(folder)
    word = _read(place / TAKEN).get("word")
    _write(place / ANSWER, {"word": word, "result": os.environ.get("SERVICE_RESULT", "unknown")})
    (place / TAKEN).unlink(missing_ok=True)


def _runs(process: int) -> bool:
    """Say whether a process runs (by a signal that is none: /proc shows less in a namespace)."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _answers(url: str) -> bool:
    plain = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with plain.open(url, timeout=TRY_SECONDS) as response:
            return int(response.status) == 200
    except (OSError, urllib.error.URLError, ValueError):
        return False


def _write(place: Path, told: dict[str, str | None]) -> None:
    beside = place.with_name(f"{place.name}.{uuid.uuid4().hex}")
    beside.write_text(json.dumps(told))
    beside.replace(place)


def _read(place: Path) -> dict[str, str]:
    """Return what stands in a file, or nothing if there is none, or not yet one."""
    try:
        with place.open("rb") as file:
            told = json.loads(file.read(LONGEST))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


VERBS: dict[str, Callable[..., None]] = {
    "pin": pin, "ready": ready, "ask": ask, "take": take, "answer": answer,
}  # fmt: skip


def main(words: list[str]) -> int:
    """Do what the words say; return the exit code."""
    try:
        VERBS[words[0]](*words[1:])
    except (IndexError, KeyError, TypeError):
        print(__doc__, file=sys.stderr)
        return 2
    except (NotDoneError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
