"""The safetensors header: strict, bounded, and never more permissive than the library."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError

from airlift import strict
from airlift.errors import InventoryError, MalformedError, UncheckedError
from airlift.tensors.element import Element
from airlift.tensors.formats import safetensors as header
from airlift.tensors.formats.safetensors import parse_header, read_spans
from airlift.tensors.span import TensorSpan
from tests.support.tensor_files import load, safetensors, with_header

U8 = "U8"


def parse(data: bytes) -> tuple[TensorSpan, ...]:
    length = int.from_bytes(data[:8], "little")
    return parse_header(data[8 : 8 + length], len(data))


def write(folder: Path, data: bytes) -> Path:
    path = folder / "model.safetensors"
    path.write_bytes(data)
    return path


def test_tensors_come_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    data = safetensors(
        {"b": ("BF16", [2, 3], [4, 16]), "a": ("F32", [], [0, 4]), "empty": ("I64", [0, 7], [16, 16])},
        bytes(range(16)),
        __metadata__={"format": "pt"},
    )
    start = len(data) - 16
    assert read_spans(write(tmp_path, data)) == (
        TensorSpan("a", Element.F32, (), start, start + 4),
        TensorSpan("b", Element.BF16, (2, 3), start + 4, start + 16),
        TensorSpan("empty", Element.I64, (0, 7), start + 16, start + 16),
    )


@pytest.mark.parametrize("data", [with_header(b"{}"), with_header(b'{"__metadata__":{}}  \n')])
def test_a_file_without_tensors_is_valid(data: bytes) -> None:
    assert parse(data) == ()
    assert load(data) == []


def test_a_name_is_only_a_label() -> None:
    """Threat: safetensors with `../` names. They are carried as labels and never become paths."""
    (span,) = parse(safetensors({"../../etc/passwd": (U8, [1], [0, 1])}, b"x"))
    assert span.name == "../../etc/passwd"


def entry(dtype: Any = U8, shape: Any = (4,), offsets: Any = (0, 4), **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets} | more


def dump(document: Any) -> bytes:
    return json.dumps(document).encode()


HUGE = 2**53 - 1
REFUSED_BY_BOTH = {
    "overlapping spans": dump({"a": entry(shape=[3], offsets=[0, 3]), "b": entry(shape=[3], offsets=[1, 4])}),
    "a hole": dump({"a": entry(shape=[1], offsets=[0, 1]), "b": entry(shape=[2], offsets=[2, 4])}),
    "a hole at the start": dump({"a": entry(shape=[3], offsets=[1, 4])}),
    "bytes after the last tensor": dump({"a": entry(shape=[3], offsets=[0, 3])}),
    "a span outside the file": dump({"a": entry(shape=[5], offsets=[0, 5])}),
    "an end before the start": dump({"a": entry(shape=[0], offsets=[4, 0])}),
    "no tensor for the bytes": dump({}),
    "a size that does not fit": dump({"a": entry(dtype="BF16")}),
    "half a byte": dump({"a": entry(dtype="F4", shape=[7])}),
    "a negative dimension": dump({"a": entry(shape=[-4])}),
    "a negative offset": dump({"a": entry(offsets=[-4, 0])}),
    "a huge dimension": dump({"a": entry(shape=[2**64, 0])}),
    "a huge product": dump({"a": entry(shape=[HUGE, HUGE, 0])}),
    "a fractional dimension": dump({"a": entry(shape=[4.0])}),
    "a boolean dimension": dump({"a": entry(shape=[True, 4])}),
    "three offsets": dump({"a": entry(offsets=[0, 4, 4])}),
    "one offset": dump({"a": entry(offsets=[0])}),
    "a shape that is no list": dump({"a": entry(shape=4)}),
    "a dtype that is no string": dump({"a": entry(dtype=1)}),
    "a missing field": dump({"a": {"dtype": U8, "shape": [4]}}),
    "an entry that is no object": dump({"a": 1}),
    "metadata that is no object": dump({"__metadata__": [], "a": entry()}),
    "metadata of numbers": dump({"__metadata__": {"n": 1}, "a": entry()}),
    "a list": b"[]",
    "no JSON": b"{",
    "a byte order mark": b"\xef\xbb\xbf" + dump({"a": entry()}),
    "text after the object": dump({"a": entry()}) + b"{}",
    "no UTF-8": b'{"\xff":1}',
    "a lone surrogate": b'{"\\ud800":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}',
    "NaN": b'{"a":{"dtype":"U8","shape":[NaN],"data_offsets":[0,4]}}',
    "deep nesting": b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "nothing": b"",
}
REFUSED_HERE = {
    "leading space": b" " + dump({"a": entry()}),
    "an empty name": dump({"": entry()}),
    "an unknown field": dump({"a": entry(extra=1)}),
    "metadata of null": dump({"__metadata__": None, "a": entry()}),
    "too many dimensions": dump({"a": entry(shape=[4, *[1] * 32])}),
}


@pytest.mark.parametrize("why", REFUSED_BY_BOTH)
def test_what_the_library_refuses_is_refused(why: str, tmp_path: Path) -> None:
    """Threat: safetensors with duplicate keys, overlapping spans, holes, sizes that lie."""
    data = with_header(REFUSED_BY_BOTH[why], b"1234")
    with pytest.raises(SafetensorError):
        load(data)
    with pytest.raises(MalformedError):
        read_spans(write(tmp_path, data))


@pytest.mark.parametrize("why", REFUSED_HERE)
def test_more_is_refused_than_the_library_does(why: str) -> None:
    with pytest.raises(MalformedError):
        parse(with_header(REFUSED_HERE[why], b"1234"))


@pytest.mark.parametrize(
    "text",
    [
        '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}',
        '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"dtype":"U8"}}',
        '{"__metadata__":{},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"__metadata__":{}}',
        '{"__metadata__":{"k":"1","k":"2"},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}',
    ],
)
def test_a_key_given_twice_is_refused(text: str) -> None:
    """Threat: safetensors with duplicate keys."""
    with pytest.raises(MalformedError, match="twice"):
        parse(with_header(text.encode(), b"1234"))


def test_a_dtype_from_the_future_is_opaque() -> None:
    (span,) = parse(safetensors({"t": ("Q9", [3, 5], [0, 4])}, b"1234"))
    assert (span.element, span.shape, span.length) == (Element.BYTES, (3, 5), 4)


@pytest.mark.parametrize("length", [0, 3, 2**31, 100_000_001, 2**63, 2**64 - 1])
def test_an_impossible_header_length_is_refused(length: int, tmp_path: Path) -> None:
    """Threat: safetensors headers over 100 MB, or longer than the file."""
    with pytest.raises(MalformedError, match="length"):
        read_spans(write(tmp_path, length.to_bytes(8, "little") + b"{}"))


def test_a_header_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """Threat: safetensors headers over 100 MB. The file is sparse, so reading it would show in the memory used."""
    path = write(tmp_path, (100_000_001).to_bytes(8, "little"))
    os.truncate(path, 300_000_000)
    with pytest.raises(MalformedError, match="length"):
        read_spans(path)


@pytest.mark.parametrize("cut", range(9))
def test_a_truncated_file_is_refused(cut: int, tmp_path: Path) -> None:
    with pytest.raises(MalformedError):
        read_spans(write(tmp_path, safetensors({}, b"")[:cut]))


def test_a_million_empty_tensors_are_refused_before_they_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threat: a million empty tensors."""
    monkeypatch.setattr(strict, "parse_any", lambda *_, **__: pytest.fail("parsed"))
    entries = (b'"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}' % n for n in range(1_000_000))
    with pytest.raises(MalformedError, match="too many tensors"):
        parse(with_header(b"{" + b",".join(entries) + b"}"))


def test_a_header_of_many_small_lists_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threat: a header that would take far more memory than its length."""
    monkeypatch.setattr(strict, "parse_any", lambda *_, **__: pytest.fail("parsed"))
    with pytest.raises(MalformedError, match="too many parts"):
        parse(with_header(b'{"a":[' + b"[]," * header.MAX_TOKENS + b"[]]}"))


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "link.safetensors").symlink_to(write(tmp_path, safetensors({}, b"")))
    with pytest.raises(InventoryError):
        read_spans(tmp_path / "link.safetensors")
    with pytest.raises(UncheckedError):
        read_spans(tmp_path / "missing.safetensors")
