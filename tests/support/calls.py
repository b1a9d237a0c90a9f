"""Counts the calls of functions that some work makes, in whichever thread: a cost that no other process disturbs."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any


@dataclass(slots=True)
class Calls:
    """How many functions were called, those of libraries in C among them."""

    count: int = 0

    def told(self, _frame: FrameType, event: str, _about: Any) -> None:
        """Take note of what the interpreter tells of."""
        self.count += event in {"call", "c_call"}


@contextmanager
def counting() -> Iterator[Calls]:
    """Count while the body runs, and in threads that it starts."""
    calls, before = Calls(), sys.getprofile()
    threading.setprofile(calls.told)
    sys.setprofile(calls.told)
    try:
        yield calls
    finally:
        sys.setprofile(before)
        threading.setprofile(before)
