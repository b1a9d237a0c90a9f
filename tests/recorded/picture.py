"""The whole picture: what was typed and said on both sides, and the border between them."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from tests.recorded import drawing, story
from tests.recorded.screen import Line

TITLE = "A release crosses the gap: the commands, and what they answer"
BORDER = "air gap: a disc is carried across"


def draw(folder: Path) -> str:
    """Run the story in an empty folder and return it as an SVG."""
    told = list(story.tell(folder))
    commands = "; ".join(step.typed.replace("\\\n", "").replace("         ", "") for step in story.STEPS)
    return drawing.document(TITLE, f"Commands: {commands}.", list(written(told)), story.COLUMNS)


def written(told: list[story.Told]) -> Iterator[Line]:
    """Yield the lines of the picture."""
    yield from _block(told[0])
    for before, after in pairwise(told):
        yield ()
        if before.step.side != after.step.side:
            yield ((BORDER, drawing.GAP),)
            yield ()
        yield from _block(after)


def _block(told: story.Told) -> Iterator[Line]:
    first, *more = told.step.typed.split("\n")
    yield ((f"{told.step.side}$", told.step.side), (f" {first}", "bold"))
    yield from (((line, "bold"),) for line in more)
    yield from told.lines
