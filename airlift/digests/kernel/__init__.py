"""Which implementation digests side by side (:mod:`airlift.kernels`): openssl, avx2 or avx512.

The known answer that a compiled path must give is that of :mod:`airlift.digests.kernel.selftest`. While OpenSSL is in
FIPS mode, only its own SHA-512 is used: it is the validated one.
"""

from airlift.digests import reference
from airlift.digests.kernel import selftest
from airlift.digests.kernel.compiled import Compiled
from airlift.digests.kernel.selftest import Kernel, Running
from airlift.kernels import Kernels

try:
    from _hashlib import get_fips_mode
except ImportError:  # a Python without OpenSSL, or with one that has no such mode

    def get_fips_mode() -> int:
        """Return 0: there is no such mode."""
        return 0


__all__ = ["KERNELS", "Compiled", "Kernel", "Running", "chosen", "default", "get", "names"]

KERNELS = Kernels[Kernel](__name__, reference, Compiled, selftest.passes)
names, get, chosen = KERNELS.names, KERNELS.get, KERNELS.chosen


def default() -> Kernel:
    """Return the implementation that is in use."""
    return reference if get_fips_mode() else chosen().kernel
