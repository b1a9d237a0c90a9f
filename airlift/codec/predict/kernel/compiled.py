"""A path of the compiled kernel."""

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from airlift.codec.predict.kernel.operations import Bits, Doubles, Rows
from airlift.tensors.element import Element

CODES = {Element.BF16: 0, Element.F16: 1, Element.F32: 2}


@dataclass(frozen=True, slots=True)
class Compiled:
    """One path of the compiled kernel."""

    module: ModuleType
    name: str

    def add(self, base: Bits, element: Element, left: Doubles, right: Doubles, out: Bits) -> Rows:
        """See :class:`airlift.codec.predict.kernel.operations.Kernel`."""
        left_out = np.empty(len(base), np.bool_)
        factors = np.ascontiguousarray(left), np.ascontiguousarray(right)
        self.module.add(self.name, CODES[element], left.shape[1], base, *factors, out, left_out)
        return left_out
