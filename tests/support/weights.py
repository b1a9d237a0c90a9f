"""Tiny safetensors files and component folders, written by hand so that tests need no model."""

import json
import random
from collections.abc import Mapping
from pathlib import Path

Tensors = Mapping[str, tuple[str, tuple[int, ...], bytes]]


def safetensors(tensors: Tensors) -> bytes:
    """Return a safetensors file of {name: (dtype, shape, bytes)}."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {
            "dtype": dtype,
            "shape": list(shape),
            "data_offsets": [position, position + len(data)],
        }
        position += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(data for _, _, data in tensors.values())


def noise(seed: int, size: int) -> bytes:
    """Return ``size`` bytes that no codec makes smaller, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def weights(seed: int, *, rows: int = 64, columns: int = 32, changed: int = 0) -> bytes:
    """Return a safetensors file with two BF16 tensors; ``changed`` bytes of the second differ from ``changed=0``."""
    body = bytearray(noise(seed + 1, rows * columns * 2))
    for position in range(0, 2 * changed, 2):
        body[position % len(body)] ^= 1
    embedding = noise(seed, rows * columns * 2)
    return safetensors(
        {"wte": ("BF16", (rows, columns), embedding), "head": ("BF16", (rows, columns), bytes(body))}
    )


def component(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write a component's folder: {relative path: bytes}."""
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder
