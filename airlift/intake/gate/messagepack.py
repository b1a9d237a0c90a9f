"""Walk MessagePack to its end: spaCy and Flax keep tables and weights so (msgpack specification)."""

from airlift.intake.gate.views import WINDOW, View

_ITEMS = 1_000_000
_SIZED = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_EXTENSIONS = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_FIXED = {
    0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8,
    0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8, 0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
}  # fmt: skip
_CONTAINERS = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}


class _NotMessagePackError(Exception):
    pass


class _Walk:
    """A place in a view with the bytes around it at hand, and whether an array of objects was passed."""

    def __init__(self, view: View, size: int) -> None:
        self.view, self.size = view, size
        self.position, self._start, self._window = 0, 0, b""
        self._last = b""
        self.objects = False

    def number(self, width: int) -> int:
        offset = self.position - self._start
        if offset + width > len(self._window):
            self._start, self._window = self.position, self.view.read(self.position, WINDOW)
            offset = 0
        if offset + width > len(self._window):
            raise _NotMessagePackError
        self.position += width
        return int.from_bytes(self._window[offset : offset + width], "big")

    def text(self, length: int) -> None:
        """Step over a string or bytes; note the pair by which msgpack-numpy says that a pickle follows."""
        short = b"" if length > 8 else self.number(length).to_bytes(length, "big")
        if length > 8:
            self.skip(length)
        self.objects = self.objects or (self._last == b"kind" and short == b"O")
        self._last = short

    def skip(self, length: int) -> None:
        if length > self.size - self.position:
            raise _NotMessagePackError
        self.position += length

    def item(self) -> int:
        """Step over one item's head; return how many items it holds."""
        first = self.number(1)
        if first < 0x80 or first >= 0xE0:
            return 0
        if first < 0xA0:
            return (first & 15) * (1 if first & 0x10 else 2)
        if first < 0xC0:
            self.text(first & 31)
        elif first in _SIZED:
            self.text(self.number(_SIZED[first]))
        elif first in _EXTENSIONS:
            self.skip(self.number(_EXTENSIONS[first]) + 1)
        elif first in _CONTAINERS:
            width, each = _CONTAINERS[first]
            return self.number(width) * each
        elif first in _FIXED:
            self.skip(_FIXED[first])
        else:
            raise _NotMessagePackError
        return 0


def walk(view: View) -> tuple[bool, bool]:
    """Say whether a view is one map or array of MessagePack to its end, and whether it holds a pickled array."""
    first = view.read(0, 1)
    if not first or not (0x80 <= first[0] < 0xA0 or first[0] in _CONTAINERS):
        return False, False
    size = view.reach()
    if size is None:
        return False, False
    state, left = _Walk(view, size), 1
    try:
        for _ in range(_ITEMS):
            left += state.item() - 1
            if not left:
                return state.position == size, state.objects
            if left > size - state.position:
                return False, state.objects
    except _NotMessagePackError:
        pass
    return False, state.objects
