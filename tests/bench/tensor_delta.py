"""Published coders of one tensor against another, run on files: a program of its own, since they are large libraries.

    python tensor_delta.py tensorx|fmdelta make|apply BASE INPUT OUTPUT

``tensorx`` is the coder of TensorDex (module ``tensordex``), ``fmdelta`` is FM-Delta (module ``fmd``). A tensor is
coded against the base's of the same name, dtype and shape; one that is equal costs 4 bytes, one that has no
counterpart, or that the coder cannot take or shrink, is stored. The header goes beside them, unless it is the base's.

Prints the seconds that its work took, on the clock and of all cores: without its imports, which take several.
"""

import json
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

WIDTHS = {"BF16": 2, "F16": 2, "F32": 4}


def spans(data: bytes) -> dict[str, tuple[int, int, Any]]:
    """Return {name: (start, end, (dtype, shape))} of a safetensors file, in the order of the bytes."""
    start = 8 + int.from_bytes(data[:8], "little")
    entries = {name: entry for name, entry in json.loads(data[8:start]).items() if name != "__metadata__"}
    ordered = sorted(entries.items(), key=lambda item: item[1]["data_offsets"])
    return {
        name: (*(start + at for at in entry["data_offsets"]), (entry["dtype"], entry["shape"]))
        for name, entry in ordered
    }


class TensorX:
    """TensorDex's coder, at its own level."""

    def __init__(self) -> None:
        self.coder = import_module("tensordex._ops")

    def encode(self, new: bytes, old: bytes, dtype: str) -> bytes:
        """Return a delta."""
        return bytes(self.coder.compress_tensorx_rust(new, old, WIDTHS[dtype]))

    def decode(self, delta: bytes, old: bytes, dtype: str) -> bytes:
        """Return what :meth:`encode` was given."""
        return bytes(self.coder.decompress_tensorx_rust(delta, old, WIDTHS[dtype]))


class FMDelta:
    """FM-Delta; bfloat16 goes as float16 does, whose bits it takes in order."""

    def __init__(self) -> None:
        self.coder = import_module("fmd")

    def encode(self, new: bytes, old: bytes, dtype: str) -> bytes:
        """Return a delta."""
        return bytes(self.coder.compress_param(self._numbers(old, dtype), self._numbers(new, dtype)))

    def decode(self, delta: bytes, old: bytes, dtype: str) -> bytes:
        """Return what :meth:`encode` was given."""
        return bytes(self.coder.decompress_param(delta, self._numbers(old, dtype)).tobytes())

    @staticmethod
    def _numbers(data: bytes, dtype: str) -> Any:
        return np.frombuffer(data, f"<f{WIDTHS[dtype]}").copy()


Coder = TensorX | FMDelta
CODERS: Mapping[str, Callable[[], Coder]] = {"tensorx": TensorX, "fmdelta": FMDelta}


def make(coder: Coder, base: bytes, target: bytes) -> Iterator[bytes]:
    """Yield the parts of a delta: the header, then every tensor, each after its length."""
    old, new = spans(base), spans(target)
    body = 8 + int.from_bytes(target[:8], "little")
    header = b"" if base[:body] == target[:body] else zlib.compress(target[:body])
    yield len(header).to_bytes(4, "little") + header
    for name, (start, end, kind) in new.items():
        coded = _encode(coder, target[start:end], _counterpart(base, old.get(name), kind), kind[0])
        yield len(coded).to_bytes(4, "little") + coded


def _counterpart(base: bytes, found: tuple[int, int, Any] | None, kind: Any) -> bytes | None:
    return base[found[0] : found[1]] if found is not None and found[2] == kind else None


def _encode(coder: Coder, new: bytes, old: bytes | None, dtype: str) -> bytes:
    if old is None or dtype not in WIDTHS or not new:
        return new
    coded = b"" if new == old else coder.encode(new, old, dtype)
    return coded if len(coded) < len(new) else new


def apply(coder: Coder, base: bytes, delta: bytes) -> Iterator[bytes]:
    """Yield the parts of a target."""
    old = spans(base)
    header, at = _part(delta, 0)
    header = zlib.decompress(header) if header else base[: 8 + int.from_bytes(base[:8], "little")]
    yield header
    for name, (start, end, kind) in spans(header).items():
        coded, at = _part(delta, at)
        if len(coded) == end - start:
            yield coded
            continue
        source = _counterpart(base, old.get(name), kind) or b""
        yield coder.decode(coded, source, kind[0]) if coded else source


def _part(delta: bytes, at: int) -> tuple[bytes, int]:
    end = at + 4 + int.from_bytes(delta[at : at + 4], "little")
    return delta[at + 4 : end], end


def main(coder: Coder, verb: str, base: Path, source: Path, output: Path) -> None:
    """Make a delta, or apply it."""
    work = make if verb == "make" else apply
    output.write_bytes(b"".join(work(coder, base.read_bytes(), source.read_bytes())))


if __name__ == "__main__":
    found = CODERS[sys.argv[1]]()
    started, cpu = time.perf_counter(), time.process_time()
    main(found, sys.argv[2], *map(Path, sys.argv[3:]))
    print(json.dumps({"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}))
