"""When an endpoint that broke off is asked again, and when no more (SPEC L2.10c)."""

import time
from collections.abc import Callable

from airlift.errors import UncheckedError

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each new try."""
ENOUGH = 1 << 20
"""Bytes after which the tries are counted anew."""
LONGEST = 120.0
"""Seconds: an endpoint that asks for more is not waited for."""
AGAIN = "run the same command again; what was fetched is kept"


class BrokenOffError(UncheckedError):
    """An answer broke off, or was put off: it may come if it is asked for again.

    ``asked`` is for how many seconds the endpoint wants to be left alone.
    """

    def __init__(self, message: str, *, found: str, asked: float = 0.0) -> None:
        super().__init__(message, found=found, hint=f"check the network and HF_ENDPOINT, then {AGAIN}")
        self.asked = asked


class Patience:
    """Counts tries; what is told goes to ``tell``."""

    __slots__ = ("_came", "_tell", "_tries")

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._tries = self._came = 0

    def came(self, count: int) -> None:
        """Count ``count`` bytes that came in."""
        self._came += count
        if self._came >= ENOUGH:
            self._tries = self._came = 0

    def wait(self, error: BrokenOffError) -> None:
        """Wait before the next try.

        Raises:
            BrokenOffError: ``error``, if there is no next try.
        """
        if error.asked > LONGEST:
            error.hint = f"the endpoint wants to be left alone for {error.asked:.0f} s; then {AGAIN}"
            raise error
        if self._tries == len(WAITS):
            raise error
        seconds = max(WAITS[self._tries], error.asked)
        self._tries += 1
        self._tell(
            f"{error.message} ({error.found}): trying again in {seconds:g} s, {self._tries} of {len(WAITS)}"
        )
        time.sleep(seconds)
