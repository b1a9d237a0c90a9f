"""Which form a component of a kind must have, and whether it has it (SPEC L2.15 to L2.18)."""

from collections.abc import Iterable

from airlift.bundle.component.component import CHART, IMAGE, WHEELS
from airlift.intake.gate.forms import chart, image, pins, wheel
from airlift.intake.gate.forms.reading import Whole
from airlift.intake.gate.views import View


def check_paths(kind: str, paths: Iterable[str]) -> None:
    """Refuse files that a component of this kind does not have, judging by their paths, before any is read.

    Raises:
        ForbiddenFileError: there is one, or one is missing.
    """
    if kind == IMAGE:
        image.check_paths(paths)
    elif kind == WHEELS:
        wheel.check_paths(paths)
    elif kind == CHART:
        chart.check_paths(paths)


def check_file(kind: str, relative: str, view: View) -> str:
    """Check one file by itself; return what it is, "" if the rest of the gate is to judge it, too.

    Raises:
        ForbiddenFileError: it is not what it must be.
        UncheckedError: it cannot be read.
    """
    if kind == IMAGE:
        return "part of an image"
    if kind == WHEELS and relative != pins.NAME:
        wheel.check_wheel(relative, view)
        return "wheel"
    if kind == CHART and relative.endswith(chart.SUFFIX):
        chart.check_archive(relative, view)
    return ""


def check_whole(kind: str, whole: Whole) -> None:
    """Check that the files of a component fit together, once all of them were digested.

    Raises:
        ForbiddenFileError: they do not.
        UncheckedError: one cannot be read, or was changed since.
    """
    if kind == IMAGE:
        image.check_whole(whole)
    elif kind == WHEELS:
        wheel.check_pins(whole)
    elif kind == CHART:
        chart.check_whole(whole)
