"""JSON of foreign tools, read whole within bounds: bytes, objects and lists, values, depth, and no key twice."""

import json
from typing import Any

from airlift.intake.gate.views import View, read_whole

MAX_BYTES = 64 << 20
MAX_PARTS = 2 << 20
MAX_VALUES = 8 << 20
_OPENING, _SEPARATING = (b"{", b"["), (b",", b":")


class UnclearError(Exception):
    """Raised within this room: what a document says cannot be told, for the reason that is its text."""


def load(view: View) -> Any:
    """Return what a JSON document says; numbers may be floats.

    Raises:
        UnclearError: it is none, or beyond the bounds.
    """
    data = read_whole(view, MAX_BYTES)
    if data is None:
        raise UnclearError(f"it has more than {MAX_BYTES} bytes")
    if _count(data, _OPENING) > MAX_PARTS or _count(data, _SEPARATING) > MAX_VALUES:
        raise UnclearError("it has too many parts")
    try:
        return json.loads(data, object_pairs_hook=_object)
    except UnclearError:
        raise
    except RecursionError as error:
        raise UnclearError("it is nested too deeply") from error
    except ValueError as error:
        raise UnclearError("it is not JSON") from error


def _count(data: bytes, marks: tuple[bytes, ...]) -> int:
    return sum(map(data.count, marks))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise UnclearError("a key stands twice")
    return result
