"""Makes safetensors files for tests, valid or not."""

import json
from collections.abc import Mapping
from typing import Any

import safetensors as library


def safetensors(tensors: Mapping[str, Any], body: bytes, **more: Any) -> bytes:
    """Return a file of {name: (dtype, shape, offsets)}; ``more`` goes into the header as it is."""
    entries = {
        name: {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        for name, (dtype, shape, offsets) in tensors.items()
    }
    return with_header(json.dumps(more | entries).encode(), body)


def load(data: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Return what the safetensors library reads: names with dtype, shape and data."""
    deserialize: Any = library.deserialize
    return list(deserialize(data))


def with_header(header: bytes, body: bytes = b"") -> bytes:
    """Return a file with this header, whatever it is."""
    return len(header).to_bytes(8, "little") + header + body
