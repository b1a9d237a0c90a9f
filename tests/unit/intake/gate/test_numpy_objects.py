import io

import numpy as np
import pytest

from airlift.intake.gate.numpy_objects import header, holds_objects
from airlift.intake.gate.views import Held
from tests.support.packed import npy


def objects(data: bytes) -> bool:
    stated = header(Held(data), data)
    assert stated is not None
    return holds_objects(stated)


@pytest.mark.parametrize(
    "kind",
    [
        "f2",
        "<f4",
        ">f8",
        "i1",
        "u8",
        "?",
        "c16",
        "S7",
        "U3",
        "M8[ns]",
        "m8[25s]",
        [("x", "f4"), ("OO", "i8", (2,))],
    ],
)
def test_numbers_and_text(kind: object) -> None:
    data = io.BytesIO()
    np.save(data, np.zeros(3, dtype=kind))  # type: ignore[call-overload]
    assert not objects(data.getvalue())


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize(
    "descr",
    ["'|O'", "'O'", "'O8'", '"|O"', "'object'", "[('a', '|O')]", "[('a', '<f4'), ('b', 'O', (2,))]", "'f4,O'",
     "'\\x4f'", "'object_'", "'f4, (2,)O'", "'<f4', 'descr': '|O'", "'f4' ',O'", "'ob' 'ject'"],
)  # fmt: skip
def test_objects(descr: str, version: int) -> None:
    """NumPy takes any of these for a type of objects, and loads a pickle."""
    assert objects(npy(descr, b"", version))


@pytest.mark.parametrize("key", [b"'de' 'scr'", b"'d\\x65scr'", b"'de' #\n'scr'"])
def test_a_key_that_is_spelled_otherwise_hides_nothing(key: bytes) -> None:
    """Threat, content: NumPy takes the last of two equal keys, of which the first names numbers."""
    data = npy("'<f8'", b"").replace(b"'<f8',", b"'<f8', " + key + b": '|O',")
    assert objects(data)


def test_a_header_that_is_too_long_to_look_at() -> None:
    data = b"\x93NUMPY\x02\0" + (1 << 20).to_bytes(4, "little") + b" " * (1 << 20)
    assert objects(data)


@pytest.mark.parametrize("data", [b"", b"\x93NUMP", b"\x93NUMPY\x01\0"])
def test_what_is_no_array(data: bytes) -> None:
    assert header(Held(data), data) is None
