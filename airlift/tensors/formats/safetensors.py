"""The safetensors header: a bounded, strict parser (SPEC T2 to T8).

A file is a length (8 bytes, little-endian), a JSON object of that length, and the bytes of the tensors::

    {"__metadata__": {"format": "pt"}, "wte": {"dtype": "BF16", "shape": [256, 160], "data_offsets": [0, 81920]}}

What is accepted here the safetensors library loads with the same names, shapes and bytes; what it refuses is refused
here, except for dtypes newer than that library, which are opaque. Tensor names are labels and never become paths.

Source: https://huggingface.co/docs/safetensors
"""

import os
from collections.abc import Iterator
from typing import Any

from airlift import strict
from airlift.errors import MalformedError
from airlift.tensors.element import SAFETENSORS_BITS, from_safetensors
from airlift.tensors.layout import Layout
from airlift.tensors.region import Region, opened
from airlift.tensors.span import TensorSpan

LENGTH_BYTES = 8
MAX_HEADER_BYTES = 100_000_000
MAX_TENSORS = 1 << 18
MAX_TOKENS = 16 * MAX_TENSORS
MAX_DIMENSIONS = 32
MAX_BITS = 2**64 - 1

_METADATA = "__metadata__"
_FIELDS = frozenset({"dtype", "shape", "data_offsets"})


def read_spans(path: str | os.PathLike[str]) -> tuple[TensorSpan, ...]:
    """Return the tensors of a safetensors file in the order of their bytes; the header is not among them.

    Raises:
        MalformedError: it is not a valid safetensors file.
        UncheckedError: it cannot be read.
    """
    with opened(path) as region:
        return read(region).tensors


def fits(name: str, head: bytes) -> bool:
    """Say whether a file may be one, by its name or by how it starts."""
    return name.endswith(".safetensors") or head[5:10] == b'\0\0\0{"'


def read(region: Region) -> Layout:
    """Return the tensors of a file in the order of their bytes.

    Raises:
        MalformedError: it is not a valid safetensors file.
    """
    length = _header_length(region.read(0, min(LENGTH_BYTES, region.size)), region.size)
    return Layout(parse_header(region.read(LENGTH_BYTES, length), region.size))


def parse_header(header: bytes, size: int) -> tuple[TensorSpan, ...]:
    """Return the tensors of a file of ``size`` bytes whose JSON header is ``header``, in the order of their bytes.

    Raises:
        MalformedError: the header is not valid, or its tensors do not fill the file exactly.
    """
    _check_cost(header)
    document = strict.parse_any(header, limit=MAX_HEADER_BYTES, what="a safetensors header")
    _check_metadata(document.pop(_METADATA, {}))
    body = LENGTH_BYTES + len(header)
    spans = sorted(_tensors(document, body), key=lambda span: (span.start, span.end))
    _check_contiguous(spans, body, size)
    return tuple(spans)


def _header_length(prefix: bytes, size: int) -> int:
    length = int.from_bytes(prefix, "little")
    if len(prefix) != LENGTH_BYTES or not 0 < length <= min(MAX_HEADER_BYTES, size - LENGTH_BYTES):
        raise MalformedError(
            "a safetensors header has an impossible length", found=f"{length} of {size} bytes"
        )
    return length


def _check_cost(header: bytes) -> None:
    """Bound the objects that parsing makes, before it starts."""
    if not header.startswith(b"{"):
        raise MalformedError("a safetensors header must start with '{'")
    if header.count(b"{") > MAX_TENSORS + 2:  # the header's own, and that of the metadata
        raise MalformedError("a safetensors header has too many tensors", expected=f"at most {MAX_TENSORS}")
    if sum(header.count(token) for token in (b"{", b"[", b",", b":")) > MAX_TOKENS:
        raise MalformedError("a safetensors header has too many parts", expected=f"at most {MAX_TOKENS}")


def _check_metadata(metadata: Any) -> None:
    if type(metadata) is not dict or not all(type(value) is str for value in metadata.values()):
        raise MalformedError(f"{_METADATA} of a safetensors header must be an object of strings")


def _tensors(document: dict[str, Any], body: int) -> Iterator[TensorSpan]:
    for name, entry in document.items():
        try:
            yield _tensor(name, entry, body)
        except MalformedError as error:
            raise MalformedError(f"tensor {name[:80]!a}: {error.message}", found=error.found) from error


def _tensor(name: str, entry: Any, body: int) -> TensorSpan:
    if not name:
        raise MalformedError("the name is empty")
    strict.only(entry, _FIELDS, "the entry")
    dtype = strict.member(entry, "dtype", str, "the entry")
    shape = _numbers(strict.member(entry, "shape", list, "the entry"), "shape")
    offsets = _numbers(strict.member(entry, "data_offsets", list, "the entry"), "data_offsets")
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise MalformedError("data_offsets must be a start and an end", found=str(offsets[:3]))
    _check_size(dtype, shape, offsets[1] - offsets[0])
    return TensorSpan(name, from_safetensors(dtype), shape, body + offsets[0], body + offsets[1])


def _numbers(values: list[Any], what: str) -> tuple[int, ...]:
    if len(values) > MAX_DIMENSIONS or not all(type(value) is int and value >= 0 for value in values):
        raise MalformedError(f"{what} must be a short list of whole numbers")
    return tuple(values)


def _check_size(dtype: str, shape: tuple[int, ...], length: int) -> None:
    bits = 1
    for factor in (*shape, SAFETENSORS_BITS.get(dtype, 1)):
        bits *= factor
        if bits > MAX_BITS:
            raise MalformedError("the shape is too large", found=str(shape))
    if dtype in SAFETENSORS_BITS and bits != 8 * length:
        raise MalformedError(
            "the size does not fit dtype and shape", found=f"{length} bytes for {dtype} {shape}"
        )


def _check_contiguous(spans: list[TensorSpan], start: int, size: int) -> None:
    position = start
    for span in spans:
        if span.start != position:
            raise MalformedError("tensors overlap or leave a hole", found=ascii(span.name[:80]))
        position = span.end
    if position != size:
        raise MalformedError(
            "tensors do not end with the file", expected=f"{position} bytes", found=f"{size} bytes"
        )
