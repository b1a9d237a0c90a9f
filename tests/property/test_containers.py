"""Whatever a file holds and is called, its spans tile it; what is written is read."""

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift.tensors.element import Element
from airlift.tensors.formats import archive, ctranslate2, npy, onnx, whisper
from airlift.tensors.formats.tiling import component_spans
from airlift.tensors.region import of_bytes
from airlift.tensors.span import TensorSpan, coarse, opaque
from tests.support import container_files as made

KINDS = {"<f4": (1, 0, 0), "<f2": (10, 4, 1), "i1": (3, 1, 24), "<i4": (6, 3, 26)}
"""NumPy's types, and what ONNX, CTranslate2 and ggml call them."""
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/\\"), min_size=1, max_size=8)


@st.composite
def arrays(draw: st.DrawFn) -> dict[str, Any]:
    """Draw arrays by name, none of them empty."""
    found = {}
    for name in draw(st.lists(NAMES, max_size=4, unique=True)):
        shape = draw(st.lists(st.integers(1, 4), max_size=4))
        count = int(np.prod(shape))
        numbers = draw(st.lists(st.integers(-100, 100), min_size=count, max_size=count))
        found[name] = np.array(numbers, draw(st.sampled_from(sorted(KINDS)))).reshape(shape)
    return found


def same(data: bytes, found: tuple[TensorSpan, ...], expected: dict[str, Any]) -> bool:
    """Say whether the tensors are those that were written, by name, shape and bytes."""
    told = {span.name: (span.shape, data[span.start : span.end], span.element.size) for span in found}
    return told == {name: (a.shape, a.tobytes(), a.itemsize) for name, a in expected.items()}


@given(arrays())
def test_arrays_in_an_archive(written: dict[str, Any]) -> None:
    data = made.archive({f"{name}.npy": made.npy(array) for name, array in written.items()})
    assert same(data, archive.read(of_bytes(data)).tensors, written)


@given(arrays())
def test_initializers(written: dict[str, Any]) -> None:
    data = made.onnx(
        *(made.onnx_tensor(n, KINDS[_kind(a)][0], a.shape, a.tobytes()) for n, a in written.items())
    )
    assert same(data, onnx.read(of_bytes(data)).tensors, written)


@given(arrays())
def test_variables(written: dict[str, Any]) -> None:
    data = made.ctranslate2_file({n: (KINDS[_kind(a)][1], a.shape, a.tobytes()) for n, a in written.items()})
    assert same(data, ctranslate2.read(of_bytes(data)).tensors, written)


@given(arrays())
def test_tensors_of_ggml(written: dict[str, Any]) -> None:
    held = {name: array for name, array in written.items() if array.ndim}
    parts = (made.ggml_tensor(n, KINDS[_kind(a)][2], a.shape[::-1], a.tobytes()) for n, a in held.items())
    data = made.detector(*parts)
    assert same(data, whisper.read(of_bytes(data)).tensors, held)


@given(arrays())
def test_an_array(written: dict[str, Any]) -> None:
    for array in written.values():
        data = made.npy(array)
        assert same(data, npy.read(of_bytes(data), "a").tensors, {"a": array})


def _kind(array: Any) -> str:
    return array.dtype.str.replace("|", "")  # type: ignore[no-any-return]


# -- whatever it is ------------------------------------------------------------------------------------------------

FILES = {
    path.name: path.read_bytes() for path in made.GOLDEN.rglob("*.*") if path.suffix not in {".md", ".json"}
}


@pytest.mark.parametrize("name", FILES)
@given(st.data())
def test_damaged_files_are_tiled(name: str, data: st.DataObject) -> None:
    """Threat: a header that makes spans overlap, leave the file, or stop the plan of a bundle."""
    changed = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(changed) - 1) | st.integers(0, min(400, len(changed) - 1)))
        changed[place : place + 1] = data.draw(st.binary(max_size=3))
    files = dict(FILES, **{name: bytes(changed)})
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for number, (key, content) in enumerate(files.items()):
            paths[key] = Path(folder) / str(number)
            paths[key].write_bytes(content)
        found = component_spans(paths)
    for key, spans in found.items():
        assert [span.start for span in spans] == [0, *(span.end for span in spans)][: len(spans)]
        assert sum(span.length for span in spans) == len(files[key])
        assert all(span.length % span.element.size == 0 for span in spans)
        assert len({span.name for span in spans if span.name}) == sum(bool(span.name) for span in spans)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3000)), max_size=12))
def test_joined_spans_tile_the_same_bytes(parts: list[tuple[bool, int]]) -> None:
    spans, position = [], 0
    for number, (known, length) in enumerate(parts):
        end = position + length
        spans.append(
            TensorSpan(str(number), Element.U8, (length,), position, end) if known else opaque(position, end)
        )
        position = end
    joined = coarse(spans)
    assert [span.start for span in joined] == [0, *(span.end for span in joined)][: len(joined)]
    assert sum(span.length for span in joined) == position
    assert set(joined) - set(spans) <= {span for span in joined if span.opaque}
    assert all(span in joined for span in spans if not span.opaque and span.length >= 1024)
    assert not any(a.opaque and b.opaque for a, b in pairwise(joined))
