"""The compiled part: the kernel of the codec ``ulp``. Optional: without a compiler everything works, slower."""

from setuptools import Extension, setup

KERNEL = "airlift/codec/_kernel"

setup(
    ext_modules=[
        Extension(
            "airlift.codec._kernel",
            [f"{KERNEL}.c"],
            depends=[f"{KERNEL}_{part}.h" for part in ("core", "width", "path", "x86")],
            extra_compile_args=["-O3"],
            optional=True,
            py_limited_api=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
