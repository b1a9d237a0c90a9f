"""Tell what happened: one bounded line of JSON an event, for a machine that collects them (SPEC 7.13-9). Pure."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airlift.bundle.fields import format_time
from airlift.high.watching.sights import Fault, Known
from airlift.shown import clean

KEYS = (
    "airlift", "time", "enclave", "event", "code", "exit", "bundle", "volume", "name", "release", "message",
    "expected", "found", "hint",
)  # fmt: skip
MAX_TEXT = 240
MAX_IN_A_LOOK = 100

Write = Callable[[dict[str, Any]], object]
"""Takes an event: an object with all of KEYS."""


def line(event: dict[str, Any]) -> str:
    """Return an event as one line of ASCII JSON, without its end."""
    return json.dumps({key: event.get(key) for key in KEYS}, ensure_ascii=True)


def shortened(text: object) -> str:
    """Return a text on one line of at most MAX_TEXT characters, with what is not printable ASCII escaped."""
    shown = clean(str(text)[: 2 * MAX_TEXT]).encode("ascii", "backslashreplace").decode()
    return shown if len(shown) <= MAX_TEXT else f"{shown[: MAX_TEXT - 3]}..."


@dataclass(slots=True)
class Teller:
    """Writes events, at most MAX_IN_A_LOOK of them between two calls of :meth:`begin`."""

    enclave: str
    write: Write
    written: int = 0
    kept_back: int = 0
    last: dict[str, str] = field(default_factory=dict)

    def begin(self, now: datetime) -> None:
        """Begin a look: say how many events of the one before were not written."""
        left, self.written, self.kept_back = self.kept_back, 0, 0
        if left:
            self.tell(now, "suppressed", message=f"{left} more events were not written")

    def tell(
        self,
        now: datetime,
        event: str,
        *,
        about: Known | None = None,
        fault: Fault | None = None,
        **more: Any,
    ) -> None:
        """Write an event about a volume, or about the bundle that it claims to be of."""
        if self.written >= MAX_IN_A_LOOK:
            self.kept_back += 1
            return
        self.written += 1
        said = {**_about(about), **_why(fault), **more}
        shown = {key: shortened(value) if isinstance(value, str) else value for key, value in said.items()}
        fixed = {"airlift": 1, "time": format_time(now), "enclave": self.enclave, "event": event}
        self.write(dict.fromkeys(KEYS) | shown | fixed)

    def tell_once(self, now: datetime, event: str, text: str | None, **more: Any) -> None:
        """Write an event if its text is another than last time; None says that there is nothing to tell any more."""
        if text is None:
            self.last.pop(event, None)
        elif self.last.get(event) != text:
            self.last[event] = text
            self.tell(now, event, message=text, **more)


def _about(known: Known | None) -> dict[str, Any]:
    if known is None:
        return {}
    claim = known.claim
    return {
        "name": known.sight.name,
        "bundle": claim.bundle if claim else None,
        "volume": claim.volume if claim else None,
    }


def _why(fault: Fault | None) -> dict[str, Any]:
    if fault is None:
        return {}
    keys = ("code", "exit", "message", "expected", "found", "hint")
    return {key: getattr(fault, key) for key in keys}
