"""Which implementation of the coder runs (:mod:`airlift.kernels`): numpy, scalar, neon, avx2 or avx512.

The known answer that a compiled path must give is that of :mod:`airlift.codec.ulp.kernel.selftest`.
"""

from airlift.codec.ulp import reference
from airlift.codec.ulp.kernel import selftest
from airlift.codec.ulp.kernel.compiled import Compiled
from airlift.codec.ulp.kernel.operations import Kernel
from airlift.kernels import Kernels

__all__ = ["KERNELS", "Compiled", "Kernel", "chosen", "default", "get", "names"]

KERNELS = Kernels[Kernel](__name__, reference, Compiled, selftest.passes)
names, get, chosen, default = KERNELS.names, KERNELS.get, KERNELS.chosen, KERNELS.default
