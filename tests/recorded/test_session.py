"""The picture at the top of the README shows what the commands say today, to everybody who looks at it."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.arch.tree import ROOT
from tests.browser.driver import browser
from tests.recorded import drawing, picture, screen, story

SVG = "{http://www.w3.org/2000/svg}"
KEPT = ROOT / "docs/session.svg"
README_WIDTH = 830  # CSS pixels
READABLE = 4.5  # WCAG 2.2, 1.4.3


def words(drawn: str) -> list[str]:
    """Return the lines of a picture."""
    root = ET.fromstring(drawn)  # noqa: S314 - of the repository, or written a moment ago
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


def unmeasured(lines: list[str]) -> list[str]:
    """Return lines without the figures, which a better codec may change; what was typed stays as it is."""
    return [line if "$ airlift" in line else re.sub(r"[\d.,]+", "0", line) for line in lines]


def test_it_says_what_the_commands_say(tmp_path: Path) -> None:
    drawn = picture.draw(tmp_path)
    assert unmeasured(words(drawn)) == unmeasured(words(KEPT.read_text())), "run `make session`"


def test_the_readme_shows_it_first() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "(docs/session.svg)" in readme.split("\n## ")[0]


def test_every_step_is_in_it() -> None:
    lines = words(KEPT.read_text())
    typed = [line for line in lines if re.match(r"(low|high)\$ ", line)]
    assert typed == [f"{step.side}$ {step.typed.partition(chr(10))[0]}" for step in story.STEPS]
    assert picture.BORDER in lines
    assert not [line for line in lines if len(line) > story.COLUMNS]


def test_it_has_nothing_of_the_web_in_it_and_nothing_of_a_machine() -> None:
    drawn = KEPT.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//|@import|url\(|href|<script|<image|<foreignObject", drawn)
    assert str(ROOT) not in drawn
    assert "/tmp" not in drawn  # noqa: S108 - looked for, not used


@pytest.mark.parametrize("colours", [drawing.LIGHT, drawing.DARK], ids=["light", "dark"])
def test_every_colour_can_be_read(colours: dict[str, str]) -> None:
    ground = luminance(colours["ground"])
    for name in set(colours) - {"ground", "edge"}:
        dark, light = sorted((ground, luminance(colours[name])))
        assert (light + 0.05) / (dark + 0.05) >= READABLE, name


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


BOXES = """
const ground = document.querySelector('.ground').getBoundingClientRect();
return [...document.querySelectorAll('text')].map(one => one.getBoundingClientRect())
  .filter(box => box.left < ground.left || box.right > ground.right || box.bottom > ground.bottom).length;
"""
SELECTED = "getSelection().selectAllChildren(document.documentElement); return getSelection().toString();"
GROUND = "return getComputedStyle(document.querySelector('.ground')).fill;"


def test_a_browser_shows_it_whole_and_lets_it_be_selected(
    require_tool: Callable[[str], str], tmp_path: Path
) -> None:
    programs = require_tool("chromedriver"), require_tool("chromium")
    with browser(*programs, tmp_path / "profile") as page:
        grounds = set()
        for dark in (False, True):
            page.size(README_WIDTH, dark=dark)
            page.open(KEPT)
            assert page.run(BOXES) == 0
            grounds.add(page.run(GROUND))
        assert len(grounds) == 2
        selected = page.run(SELECTED)
        assert all(step.typed.partition("\n")[0] in selected for step in story.STEPS)
        assert page.log() == []
        assert not [address for address in page.requests() if address.startswith(("http", "ws"))]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("one\r\ntwo\r\n", ["one", "two"]),
        ("\x1b[2Kbusy 1 %\r\x1b[2Kbusy 2 %\r\n\x1b[1A\x1b[2Kdone\r\n", ["done"]),
        ("\x1b[?25l\x1b[31merror\x1b[0m: no\r\n\x1b[?25h", ["error: no"]),
        ("\r\n\r\n", []),
    ],
)
def test_a_terminal_shows_what_is_left(written: str, shown: list[str]) -> None:
    assert [screen.text(line) for line in screen.lines(written)] == shown


@pytest.mark.parametrize("written", ["one\rtwo", "\x1b[3Cthree", "\x1b]0;title\x07"])
def test_a_terminal_does_not_guess(written: str) -> None:
    with pytest.raises(ValueError, match=r"known|over"):
        screen.lines(written)


def test_styles_stay_with_their_letters() -> None:
    (line,) = screen.lines("\x1b[31mbad\x1b[0m and long\n")
    assert line == (("bad", "red"), (" and long", ""))
    assert list(screen.broken(line, 5)) == [(("bad", "red"), (" a", "")), (("nd lo", ""),), (("ng", ""),)]


def test_digests_and_times_never_differ() -> None:
    first = story.fixed(f"{'ab' * 48} {'ab' * 8} 2026-01-02T03:04:05Z {'cd' * 48}")
    assert first == story.fixed(f"{'01' * 48} {'01' * 8} 2031-01-02T03:04:05Z {'23' * 48}")
    assert "abab" not in first
