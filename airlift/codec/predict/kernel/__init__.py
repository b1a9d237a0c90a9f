"""Which implementation adds products of factors to bases (:mod:`airlift.kernels`): numpy, scalar or avx2.

``numpy`` leaves everything to :mod:`airlift.codec.predict.exact`, which also does what the others leave out. The
known answer that a compiled path must give is that of :mod:`airlift.codec.predict.kernel.selftest`.
"""

from airlift.codec.predict.kernel import selftest
from airlift.codec.predict.kernel.compiled import Compiled
from airlift.codec.predict.kernel.operations import Kernel, Nothing
from airlift.kernels import Kernels

__all__ = ["KERNELS", "Compiled", "Kernel", "Nothing", "chosen", "default", "get", "names"]

KERNELS = Kernels[Kernel](__name__, Nothing(), Compiled, selftest.passes)
names, get, chosen, default = KERNELS.names, KERNELS.get, KERNELS.chosen, KERNELS.default
