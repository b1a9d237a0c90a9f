"""Feeds the compiled kernel with damaged blocks; runs in a process with sanitizers, which end it at the first fault.

``python kernel_driver.py KERNEL.so SECONDS SEED``: prints how many blocks were fed, refused and decoded.
Two ways in: whole payloads with bytes changed, and the kernel's own arguments, changed past what a parser lets by.
"""

import importlib.util
import random
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np

from airlift.codec.ulp import payload, ulp
from airlift.codec.ulp.group import Groups
from airlift.codec.ulp.kernel import Compiled
from airlift.codec.ulp.payload import Payload
from airlift.codec.ulp.unit import split
from airlift.errors import MalformedError
from airlift.tensors.element import Element
from tests.support.tensors import weights


def load(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("_compiled", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ELEMENTS = [element for element in Element if not element.record]
"""The kernel sees records as the bytes of their fields: BYTES stands for them here."""


def pairs(random_: random.Random) -> tuple[Element, bytes, bytes | None]:
    element, seed = random_.choice(ELEMENTS), random_.randrange(10)
    rows = random_.choice([1, 3, 40])
    new = weights(element, seed, step=random_.choice([0.001, 0.1, 3.0]), rows=rows)
    return element, new, weights(element, seed, rows=rows) if random_.random() < 0.8 else None


def damaged(data: bytes, random_: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random_.choice([1, 1, 2, 8])):
        place = random_.randrange(1 + min(len(changed), random_.choice([32, 200, 1 << 20])))
        if place < len(changed) and random_.random() < 0.8:
            changed[place] = random_.choice([0, 1, 0x7F, 0x80, 0xFF, random_.randrange(256)])
        else:
            changed[place : place + random_.randrange(4)] = random_.randbytes(random_.randrange(4))
    return bytes(changed)


def twisted(given: Payload, base: Any, random_: random.Random) -> tuple[Payload, Any]:
    """Return what a read is given with one part changed."""
    n = random_.randrange(1 << 16)
    which = random_.randrange(9)
    if which == 3 and base is not None:
        return given, base[: n % (len(base) + 1)] if n & 1 else np.full_like(base, n % 256)
    return replace(given, **_part(given, which, n, random_)), base


def _part(given: Payload, which: int, n: int, random_: random.Random) -> dict[str, Any]:
    if which == 0:
        return {"states": damaged(bytes(given.states), random_)}
    if which == 1:
        return {"words": bytes(given.words)[: n % (len(given.words) + 1)]}
    if which == 2:
        return {"raw": damaged(bytes(given.raw) or b"\0", random_)}
    if which == 4:
        sizes = given.groups.sizes.astype(np.uint32)
        sizes[n % len(sizes)] = n
        return {"groups": Groups(sizes, given.groups.scales)}
    if which == 5:
        field = random_.choice(["context", "shift", "offset", "delta"])
        value: Any = random_.choice([-40000, -1, 0, 1, 2, 3, 5, 40000])
        return {"model": replace(given.model, **{field: value})}
    if which == 6:
        bits = random_.choice([4, 8, 16, 32, 64, 0, -8])
        return {"model": replace(given.model, unit=replace(given.model.unit, bits=bits, mantissa=n % 70 - 2))}
    if which == 7:
        map_ = np.frombuffer(damaged(given.tables.map.tobytes(), random_), np.uint8)
        return {"tables": replace(given.tables, map=map_)}
    f = given.tables.frequencies.copy()
    f[n % len(f), n % 256], f[n % len(f), n // 256] = f[n % len(f), n // 256], f[n % len(f), n % 256]
    return {"tables": replace(given.tables, frequencies=f)}


class Feeder:
    """Keeps count."""

    def __init__(self, kernels: list[Any], random_: random.Random) -> None:
        self.kernels, self.random = kernels, random_
        self.fed = self.refused = 0

    def feed(self) -> None:
        element, new, base = pairs(self.random)
        view = None if base is None else memoryview(base)
        plan = ulp.plan(
            memoryview(new), view, element, [(96, len(new))], using=self.random.choice(self.kernels)
        )
        assert plan is not None
        data = ulp.write(plan, using=self.random.choice(self.kernels))
        parsed = payload.parse(memoryview(data), element, len(new))
        source = (
            split(memoryview(base), parsed.model.unit) if base is not None and parsed.model.delta else None
        )
        room = np.empty(8 * len(new) // parsed.model.unit.bits, parsed.model.unit.dtype)
        for _ in range(60):
            using = self.random.choice(self.kernels)
            changed = memoryview(damaged(data, self.random))
            self.count(lambda: ulp.read(changed, view, element, len(new), using=using))  # noqa: B023 - called at once
            self.count(lambda: using.read(*twisted(parsed, source, self.random), room))  # noqa: B023

    def count(self, read: Any) -> None:
        self.fed += 1
        try:
            read()
        except (MalformedError, OverflowError):
            self.refused += 1


def main() -> None:
    """Feed until the time is up."""
    module = load(sys.argv[1])
    kernels = [Compiled(module, name) for name in module.paths()]
    feeder, end = Feeder(kernels, random.Random(int(sys.argv[3]))), time.monotonic() + float(sys.argv[2])
    while time.monotonic() < end:
        feeder.feed()
    sys.stdout.write(f"{feeder.fed} fed, {feeder.refused} refused, {feeder.fed - feeder.refused} decoded\n")


if __name__ == "__main__":
    main()
