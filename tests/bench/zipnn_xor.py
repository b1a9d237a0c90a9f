"""ZipNN on XOR, as published for deltas (BitX): a program of its own, since it needs a large library.

    python zipnn_xor.py make|apply BASE INPUT OUTPUT

Prints the seconds that its work took, on the clock and of all cores: without its imports, which take several.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import zipnn


def xor(one: bytes, other: bytes) -> bytearray:
    """Return the difference of two files of one length."""
    return bytearray(np.bitwise_xor(np.frombuffer(one, np.uint8), np.frombuffer(other, np.uint8)).data)


def main(verb: str, base: Path, source: Path, output: Path) -> None:
    """Make a delta, or apply it."""
    coder = zipnn.ZipNN(bytearray_dtype="bfloat16")
    if verb == "make":
        output.write_bytes(coder.compress(xor(source.read_bytes(), base.read_bytes())))
    else:
        output.write_bytes(xor(coder.decompress(source.read_bytes()), base.read_bytes()))


if __name__ == "__main__":
    started, cpu = time.perf_counter(), time.process_time()
    main(sys.argv[1], *map(Path, sys.argv[2:]))
    print(json.dumps({"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}))
