"""Events are bounded and printable, whatever the names are."""

from typing import Any

import pytest

from airlift.high.watching import tell
from airlift.high.watching.sights import Fault, Known, Sight
from airlift.high.watching.tell import Teller
from tests.support.depots import NOW

HOSTILE = ("\\" * 900, '"' * 900, "\U0001f600" * 900, "\u202e" * 900, "\udcff" * 900, "\n\x1b[2J" * 900)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_line_is_bounded_and_printable(text: str) -> None:
    seen: list[dict[str, Any]] = []
    teller = Teller("a" * 64, seen.append)
    fault = Fault("digest-mismatch", 3, text, text, text, text)
    teller.tell(NOW, "quarantined", about=Known(Sight(text, "s"), 0.0), fault=fault, release=text)
    line = tell.line(seen[0])
    assert len(line) <= 4096
    assert line.isascii()
    assert line.isprintable()
    assert tuple(seen[0]) == tell.KEYS


def test_what_lasts_is_told_once() -> None:
    seen: list[dict[str, Any]] = []
    teller = Teller("alpha", seen.append)
    for text in ("no", "no", "other", None, "no"):
        teller.tell_once(NOW, "unreadable", text)
    assert [event["message"] for event in seen] == ["no", "other", "no"]
