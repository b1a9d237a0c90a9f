"""Peers of the parity code, measured in a Python of their own: python parity_peers.py LENGTH SECONDS DATA+PARITY...

Prints the same figures as ``tests.bench.erasure_speed``; imports nothing but the peers, of which any may be missing.
"""

import importlib
import importlib.metadata
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType

Work = Callable[[], object]


def zfec(module: ModuleType, data: int, parity: int, length: int) -> Iterator[tuple[str, Work, Work]]:
    """Yield what encodes, and what gives the first members back."""
    members = [os.urandom(length) for _ in range(data)]
    encoder, decoder = module.Encoder(data, data + parity), module.Decoder(data, data + parity)
    numbers = list(range(data, data + parity))
    code = encoder.encode(members, numbers)
    lost = min(data, parity)
    left = [*members[lost:], *code[:lost]]
    places = [*range(lost, data), *numbers[:lost]]
    yield "zfec", partial(encoder.encode, members, numbers), partial(decoder.decode, left, places)


def pyeclib(module: ModuleType, data: int, parity: int, length: int) -> Iterator[tuple[str, Work, Work]]:
    """Yield the same for each of its codes; it copies all data into fragments, and decodes to one."""
    whole = os.urandom(data * length)
    for kind in ("isa_l_rs_cauchy", "liberasurecode_rs_vand"):
        if kind in module.ALL_EC_TYPES and data + parity <= 32:
            driver = module.ECDriver(k=data, m=parity, ec_type=kind)
            left = driver.encode(whole)[min(data, parity) :]
            yield f"pyeclib {kind}", partial(driver.encode, whole), partial(driver.decode, left)


PEERS = {"zfec": ("zfec", zfec), "pyeclib": ("pyeclib.ec_iface", pyeclib)}


def rate(work: Work, size: int, seconds: float) -> float:
    """Return GB a second of the fastest round."""
    best, end = float("inf"), time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.thread_time()
        work()
        best = min(best, time.thread_time() - start)
    return size / best / 1e9


def main(length: int, seconds: float, shapes: list[str]) -> None:
    """Print one line for each shape and peer."""
    for name, (module, prepare) in PEERS.items():
        try:
            loaded = importlib.import_module(module)
        except ImportError:
            continue
        for shape in shapes:
            data, parity = map(int, shape.split("+"))
            for title, encode, decode in prepare(loaded, data, parity, length):
                rates = [rate(work, data * length, seconds) for work in (encode, decode)]
                label = f"{title}, {importlib.metadata.version(name)}"
                print(
                    f"{data:3} + {parity:2} {label:38} encode {rates[0]:7.3f}   reconstruct {rates[1]:7.3f} GB/s"
                )


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
