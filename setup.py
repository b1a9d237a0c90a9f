"""The compiled parts: the kernels of the codec ``ulp``, of predictions from factors, of parity and of digests.

Optional: without a compiler everything works, slower.
"""

from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel

KERNELS = tuple(
    Path("airlift") / room / "kernel" for room in ("codec/ulp", "codec/predict", "erasure", "digests")
)


class Wheel(bdist_wheel):
    """A wheel that claims a platform only if it has a compiled part."""

    def get_tag(self) -> tuple[str, str, str]:
        """Return the tags; what could be compiled is built by now."""
        built = self.get_finalized_command("build_ext").get_outputs()
        self.root_is_pure = not any(Path(path).exists() for path in built)
        return ("py3", "none", "any") if self.root_is_pure else super().get_tag()


setup(
    ext_modules=[
        Extension(
            ".".join([*kernel.parts, "_compiled"]),
            sorted(map(str, kernel.glob("*.c"))),
            depends=["airlift/kernels.h", *sorted(map(str, kernel.glob("*.h")))],
            extra_compile_args=["-O3", "-fvisibility=hidden"],
            optional=True,
            py_limited_api=True,
        )
        for kernel in KERNELS
    ],
    cmdclass={"bdist_wheel": Wheel},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
