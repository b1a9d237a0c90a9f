"""An endpoint that breaks off, is busy or slow: what came in is kept, the rest asked for again (SPEC L2.10b, c)."""

import fcntl
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from airlift.errors import BusyError, NoSpaceError, NotHeldError, StorageError, UncheckedError
from airlift.low.release.hub import download as downloading
from airlift.low.release.hub import listing, patience
from tests.support.hub_files import FILES, REPO, WEIGHTS, Told, fetch, leftovers
from tests.support.hub_server import Fault, HubServer

NAME = "model.safetensors"
SIZE = len(WEIGHTS)


@pytest.fixture
def commit(server: HubServer) -> str:
    """A commit of one large file."""
    return server.repo(REPO).commit({NAME: WEIGHTS})


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_connection_that_is_cut_is_taken_up(
    server: HubServer, tmp_path: Path, commit: str, *, reset: bool
) -> None:
    server.faults = [
        Fault("/delivered/", cut=0, reset=reset),
        Fault("/delivered/", cut=1_200_000, reset=reset),
        Fault("/delivered/", cut=500_000, reset=reset),
    ]
    told = Told()
    found = fetch(tmp_path, commit, told)
    assert found.paths[NAME].read_bytes() == WEIGHTS
    assert found.came == SIZE
    assert len(told.said) == 3
    assert all(
        f"{NAME} of {REPO} broke off" in text and "trying again in 0.01 s" in text for text in told.said
    )
    if not reset:  # what a reset connection had on the way may be lost
        assert server.sent() == SIZE
    starts = [
        one.headers.get("range", "") for one in server.files_asked() if one.host == "delivery" and one.sent
    ]
    assert starts[0] == ""
    assert all(start.startswith("bytes=") for start in starts[1:])


def test_what_came_in_is_kept_for_the_next_command(server: HubServer, tmp_path: Path, commit: str) -> None:
    server.faults = [Fault("/delivered/", cut=700_001), Fault("/delivered/", times=20, status=503)]
    told = Told()
    with pytest.raises(UncheckedError, match=f"{NAME} of {REPO} was put off") as caught:
        fetch(tmp_path, commit, told)
    assert caught.value.exit_code == 7
    assert caught.value.hint == (
        "check the network and HF_ENDPOINT, then run the same command again; what was fetched is kept"
    )
    assert len(told.said) == len(patience.WAITS)
    (partial,) = leftovers(tmp_path)
    assert partial.read_bytes() == WEIGHTS[:700_001]
    assert not list(tmp_path.rglob("snapshots"))

    server.faults, before = [], server.sent()
    found = fetch(tmp_path, commit, told)
    assert found.paths[NAME].read_bytes() == WEIGHTS
    assert found.came == server.sent() - before == SIZE - 700_001
    assert leftovers(tmp_path) == []


def test_what_was_taken_up_and_is_wrong_is_fetched_anew(
    server: HubServer, tmp_path: Path, commit: str
) -> None:
    server.faults = [Fault("/delivered/", cut=700_000), Fault("/delivered/", times=20, status=503)]
    with pytest.raises(UncheckedError):
        fetch(tmp_path, commit)
    (partial,) = leftovers(tmp_path)
    partial.write_bytes(b"\0" * 700_000)
    server.faults, before, told = [], server.sent(), Told()
    found = fetch(tmp_path, commit, told)
    assert found.paths[NAME].read_bytes() == WEIGHTS
    assert server.sent() - before == SIZE - 700_000 + SIZE
    assert told.said == [f"{NAME} of {REPO} is not what the endpoint lists: fetching it anew"]
    assert told.seen[-1][1] == SIZE


@pytest.mark.parametrize("length", [SIZE, SIZE + 1])
def test_what_was_collected_and_is_too_long_or_wrong(
    server: HubServer, tmp_path: Path, commit: str, length: int
) -> None:
    fetch(tmp_path, commit)
    (blob,) = (path for path in tmp_path.rglob("blobs/*") if path.is_file())
    partial = blob.with_name(f"{blob.name}.airlift-incomplete")
    blob.unlink()
    partial.write_bytes(b"x" * length)
    assert fetch(tmp_path, commit).paths[NAME].read_bytes() == WEIGHTS
    assert leftovers(tmp_path) == []


def test_ranges_that_are_not_honoured(server: HubServer, tmp_path: Path, commit: str) -> None:
    server.faults = [Fault("/delivered/", cut=700_000), Fault("/delivered/", ranges=False)]
    told = Told()
    assert fetch(tmp_path, commit, told).paths[NAME].read_bytes() == WEIGHTS
    assert server.sent() == 700_000 + SIZE
    assert told.seen[-1][1] == SIZE


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_is_put_off_is_tried_again(server: HubServer, tmp_path: Path, commit: str, status: int) -> None:
    server.faults = [Fault("/api/models", status=status), Fault("/resolve/", status=status, times=2)]
    told = Told()
    assert fetch(tmp_path, commit, told).paths[NAME].read_bytes() == WEIGHTS
    assert len(told.said) == 3
    assert told.said[0] == (
        f"{REPO} at {commit} was put off ({status}): trying again in 0.01 s, 1 of {len(patience.WAITS)}"
    )


def test_tries_are_bounded(server: HubServer, tmp_path: Path, commit: str) -> None:
    server.faults = [Fault("/api/models", times=99, status=503)]
    with pytest.raises(UncheckedError, match="was put off"):
        fetch(tmp_path, commit)
    assert len(server.asked) == 1 + len(patience.WAITS)


def test_a_trickle_of_broken_answers_ends(server: HubServer, tmp_path: Path, commit: str) -> None:
    """An endpoint that gives little and breaks off, again and again, is not followed for ever."""
    server.faults = [Fault("/delivered/", times=10_000, cut=1000)]
    with pytest.raises(UncheckedError, match="broke off"):
        fetch(tmp_path, commit)
    assert len(server.files_asked()) <= 2 * (1 + len(patience.WAITS))


def test_an_endpoint_that_begins_anew_and_breaks_off_ends(
    server: HubServer, tmp_path: Path, commit: str
) -> None:
    """It gives much each time, and never what is lacking."""
    server.faults = [Fault("/delivered/", times=1000, cut=1_200_000, ranges=False)]
    with pytest.raises(UncheckedError, match="broke off"):
        fetch(tmp_path, commit)
    assert len(server.files_asked()) <= 2 * (2 + len(patience.WAITS))


def test_much_that_comes_in_begins_the_count_anew(server: HubServer, tmp_path: Path) -> None:
    weights = bytes(12 << 20)
    commit = server.repo(REPO).commit({NAME: weights})
    server.faults = [Fault("/delivered/", times=9, cut=(1 << 20) + 4096)]
    assert fetch(tmp_path, commit).paths[NAME].stat().st_size == len(weights)
    assert server.sent() == len(weights)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, without waiting."""
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


def waits(server: HubServer, folder: Path, commit: str, headers: dict[str, str]) -> list[float]:
    """Return how long is waited for an answer with these headers."""
    server.faults = [Fault("/api/models", status=429, headers=headers)]
    told = Told()
    fetch(folder, commit, told)
    return [float(text.split("trying again in ")[1].split(" s")[0]) for text in told.said]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0"}, 0.01),
        ({"Retry-After": "-3"}, 0.01),
        ({"Retry-After": "soon"}, 0.01),
        ({"RateLimit": '"api";r=0;t=55'}, 55),
        ({"RateLimit": '"api";r=0;t=nan'}, 0.01),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.01),
    ],
)
def test_what_an_endpoint_asks_for_is_kept_to(
    server: HubServer, tmp_path: Path, slept: list[float], headers: dict[str, str], seconds: float
) -> None:
    commit = server.repo(REPO).commit({NAME: WEIGHTS})
    assert waits(server, tmp_path, commit, headers) == slept == [seconds]


def test_a_time_of_day_is_waited_for(
    server: HubServer, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    (seconds,) = waits(server, tmp_path, commit, {"Retry-After": formatdate(time.time() + 60, usegmt=True)})
    assert 50 < seconds <= 61


def test_an_endpoint_that_wants_to_be_left_alone_for_long(
    server: HubServer, tmp_path: Path, commit: str
) -> None:
    server.faults = [Fault("/api/models", status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(UncheckedError) as caught:
        fetch(tmp_path, commit)
    assert caught.value.hint == (
        "the endpoint wants to be left alone for 3600 s; then run the same command again; what was fetched is kept"
    )
    assert len(server.asked) == 1


def test_a_server_that_falls_silent(
    server: HubServer, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    server.faults = [Fault("/delivered/", wait=1.0), Fault("/delivered/", drip=1.0, piece=2_000_000)]
    told = Told()
    assert fetch(tmp_path, commit, told).paths[NAME].read_bytes() == WEIGHTS
    assert len(told.said) == 2
    assert all("ReadTimeout" in text for text in told.said)


def test_a_server_that_trickles(
    server: HubServer, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is never silent for long, and would never be done."""
    monkeypatch.setattr(downloading, "SLOW_SECONDS", 0.2)
    server.faults = [Fault("/delivered/", piece=100, drip=0.02)]
    told = Told()
    assert fetch(tmp_path, commit, told).paths[NAME].read_bytes() == WEIGHTS
    (said,) = told.said
    assert said.startswith(f"{NAME} of {REPO} trickles (")
    server.repo(REPO).commit({NAME: WEIGHTS + b"x"})
    server.faults = [Fault("/delivered/", times=99, piece=100, drip=0.02)]
    with pytest.raises(UncheckedError, match="trickles"):
        fetch(tmp_path, server.repo(REPO).branches["main"])


def test_a_listing_that_never_ends(
    server: HubServer, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_BYTES", 1 << 20)
    server.faults = [Fault("/api/models", endless=True)]
    with pytest.raises(UncheckedError, match=r"listing of .* cannot be used") as caught:
        fetch(tmp_path, commit)
    assert caught.value.found == f"more than {1 << 20} bytes"
    assert server.asked[0].sent < 64 << 20


def test_a_listing_that_trickles(
    server: HubServer, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_SECONDS", 0.3)
    server.faults = [Fault("/api/models", piece=1, drip=0.05)]
    with pytest.raises(UncheckedError, match=r"listing of .* cannot be used") as caught:
        fetch(tmp_path, commit)
    assert caught.value.found == "not whole after 0.3 s"


def test_a_listing_that_is_cut_is_asked_for_again(server: HubServer, tmp_path: Path, commit: str) -> None:
    server.faults = [Fault("/api/models", cut=100)]
    assert fetch(tmp_path, commit).paths[NAME].read_bytes() == WEIGHTS


def test_a_listed_file_that_is_not_there(server: HubServer, tmp_path: Path) -> None:
    commit = server.repo(REPO).commit(FILES)
    server.faults = [
        Fault("readme.md", status=404, headers={"X-Error-Code": "EntryNotFound"}),
    ]
    with pytest.raises(NotHeldError, match=f"the endpoint does not have readme.md of {REPO}") as caught:
        fetch(tmp_path, commit)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(("repo", "revision"), [("org/missing", "0" * 40), (REPO, "f" * 40)])
def test_what_the_endpoint_does_not_have(
    server: HubServer, tmp_path: Path, commit: str, repo: str, revision: str
) -> None:
    from airlift.low.release.hub.fetch import Wanted, fetch_commit

    with pytest.raises(NotHeldError, match="the endpoint does not have") as caught:
        fetch_commit(Wanted(repo, revision), tmp_path)
    assert caught.value.exit_code == 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [400, 404, 410, 418])
def test_answers_of_something_that_is_no_hub(
    server: HubServer, tmp_path: Path, commit: str, status: int
) -> None:
    server.faults = [Fault("/api/models", status=status)]
    with pytest.raises(UncheckedError, match=f"cannot fetch {REPO}") as caught:
        fetch(tmp_path, commit)
    assert caught.value.exit_code == 7
    assert len(server.asked) == 1


def test_two_commands_do_not_write_one_file(server: HubServer, tmp_path: Path, commit: str) -> None:
    server.faults = [Fault("/delivered/", cut=700_000), Fault("/delivered/", times=20, status=503)]
    with pytest.raises(UncheckedError):
        fetch(tmp_path, commit)
    server.faults = []
    (partial,) = leftovers(tmp_path)
    with partial.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="is being written by another airlift command"):
            fetch(tmp_path, commit)
    assert fetch(tmp_path, commit).paths[NAME].read_bytes() == WEIGHTS


def test_what_does_not_fit_is_not_begun(
    server: HubServer, tmp_path: Path, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.repo(REPO).listed = {NAME: {"lfs": {"sha256": "0" * 64, "size": 1 << 50}}}
    with pytest.raises(NoSpaceError, match="there is no room") as caught:
        fetch(tmp_path, commit)
    assert caught.value.exit_code == 8
    assert "--cache DIR" in caught.value.hint
    assert server.sent() == 0


def test_a_link_in_the_place_of_what_is_collected_is_not_followed(
    server: HubServer, tmp_path: Path, commit: str
) -> None:
    blob = fetch(tmp_path / "c", commit).paths[NAME]
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    blob.unlink()
    blob.with_name(f"{blob.name}.airlift-incomplete").symlink_to(victim)
    with pytest.raises(StorageError, match="cannot write"):
        fetch(tmp_path / "c", commit)
    assert victim.read_bytes() == b"mine"
