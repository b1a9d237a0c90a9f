"""A path of the compiled kernel, with the results of :mod:`airlift.erasure.reference`."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from airlift.erasure.field import Array


@dataclass(frozen=True, slots=True)
class Compiled:
    """One path of the compiled kernel."""

    module: ModuleType
    name: str

    def combine(self, weights: Array, members: Sequence[memoryview], length: int) -> list[bytearray]:
        """See :func:`airlift.erasure.reference.combine`."""
        results: list[bytearray] = self.module.combine(
            self.name, np.ascontiguousarray(weights, np.uint8), tuple(members), length
        )
        return results
