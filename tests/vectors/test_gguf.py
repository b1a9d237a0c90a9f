"""What ggml's own library writes is read here with the same names, shapes and bytes."""

import base64
import json
import math
from pathlib import Path

from airlift.tensors.formats.ggml import TYPES
from airlift.tensors.formats.gguf import parse_header

DOCUMENT = json.loads((Path(__file__).parent / "gguf" / "types.json").read_text())


def test_every_type_is_read_as_the_library_reads_it() -> None:
    data = base64.b64decode(DOCUMENT["file"])
    numbers = {kind.element.name: kind.numbers for kind in TYPES.values()}
    del numbers["BYTES"]  # types that ggml removed, which the library does not write
    spans = parse_header(data, len(data))
    assert {span.element.name for span in spans} == set(numbers)
    for span, (name, kind, dimensions, start, end) in zip(spans, DOCUMENT["tensors"], strict=True):
        assert (span.name, span.element.name, span.start, span.end) == (name, kind, start, end)
        assert math.prod(span.shape) * span.element.size == span.length
        rows = [dimensions[0] // numbers[kind], *dimensions[1:]]
        assert list(span.shape) == rows[::-1]
