"""A read of a medium that does not come back, and one that only takes its time."""

import threading
import time
from pathlib import Path

import pytest

from airlift import files
from airlift.errors import DigestError, StalledError, UncheckedError, UsageError
from airlift.media import patience
from airlift.media.patience import Beat, within_limit

PLACE = Path("/media/disc1")


@pytest.fixture(autouse=True)
def _a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(patience.VARIABLE, "1")


def test_what_comes_back_is_returned_or_raised() -> None:
    assert within_limit(lambda _beat: 7, PLACE) == 7
    for error in (DigestError("bad"), OSError(5, "gone")):
        with pytest.raises(type(error)) as caught:
            within_limit(lambda _beat, error=error: raising(error), PLACE)  # type: ignore[misc]
        assert caught.value is error


def raising(error: Exception) -> None:
    """Raise it."""
    raise error


def test_what_does_not_come_back() -> None:
    never, begun = threading.Event(), time.monotonic()
    with pytest.raises(StalledError, match="a read of /media/disc1 has not come back") as caught:
        within_limit(lambda _beat: never.wait(60), PLACE)
    never.set()
    assert 1 <= time.monotonic() - begun < 30
    assert caught.value.exit_code == 7
    assert not isinstance(caught.value, UncheckedError), "it would be taken for one lost copy"


def test_signs_of_life_are_waited_for() -> None:
    def slowly(beat: Beat) -> str:
        for _ in range(8):
            time.sleep(0.2)
            beat()
        return "all of it"

    assert within_limit(slowly, PLACE) == "all of it"


@pytest.mark.parametrize("size", [0, 1, files.PIECE_BYTES, 2 * files.PIECE_BYTES + 1])
def test_every_piece_of_a_file_is_one(tmp_path: Path, size: int) -> None:
    data, beats = bytes(range(251)) * (size // 251 + 1), list[int]()
    (tmp_path / "file").write_bytes(data[:size])
    assert files.read_large(tmp_path / "file", size, lambda: beats.append(1)) == data[:size]
    assert len(beats) == -(-size // files.PIECE_BYTES)


@pytest.mark.parametrize("limit", ["0", "-1", "1.5", "x", "", "86401", "9" * 30, "\N{SUPERSCRIPT TWO}"])
def test_a_limit_that_is_none(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setenv(patience.VARIABLE, limit)
    with pytest.raises(UsageError, match="not a number of seconds"):
        within_limit(lambda _beat: 7, PLACE)
