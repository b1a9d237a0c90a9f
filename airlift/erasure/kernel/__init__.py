"""Which implementation of the parity code sums up (:mod:`airlift.kernels`): numpy, scalar, neon, avx2 or gfni.

The known answer that a compiled path must give is that of :mod:`airlift.erasure.kernel.selftest`.
"""

from airlift.erasure import reference
from airlift.erasure.kernel import selftest
from airlift.erasure.kernel.compiled import Compiled
from airlift.erasure.kernel.selftest import Kernel
from airlift.kernels import Kernels

__all__ = ["KERNELS", "Compiled", "Kernel", "chosen", "default", "get", "names"]

KERNELS = Kernels[Kernel](__name__, reference, Compiled, selftest.passes)
names, get, chosen, default = KERNELS.names, KERNELS.get, KERNELS.chosen, KERNELS.default
