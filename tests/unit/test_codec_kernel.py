"""The compiled kernel in a process: loaded again, checked before its first use, and left alone when it is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from airlift.codec import kernel

ROOT = Path(__file__).resolve().parents[2]
KERNELS = kernel.names()

LOADED_AGAIN = """
import importlib.util, sys
import numpy as np
from airlift.codec import kernel, reference, table, ulp
from airlift.tensors.element import Element
from tests.support.tensors import weights

def loaded():
    spec = importlib.util.spec_from_file_location(kernel._compiled.__name__, kernel._compiled.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

def written(using):
    new, base = (memoryview(weights(Element.BF16, step=step)) for step in (0.02, 0.0))
    return ulp.write(ulp.plan(new, base, Element.BF16, [(96, 6144)], using=using), using=using)

counts = np.random.default_rng(1).poisson(np.geomspace(300, 0.01, 256), (64, 256)) * np.arange(1, 65)[:, None]
expected = table.fit(counts)
for module in (loaded(), loaded()):
    for name in module.paths():
        using = kernel.Compiled(module, name)
        made = using.fit(counts)
        assert np.array_equal(made.map, expected.map), "fit gives another map"
        assert np.array_equal(made.frequencies, expected.frequencies), "fit gives other tables"
        assert written(using) == written(reference), "other bytes are written"
"""


@pytest.mark.skipif(KERNELS == ["numpy"], reason="there is no compiled kernel here")
def test_a_kernel_that_is_loaded_again_gives_the_same_bytes() -> None:
    """The second initialisation shifted into a table of logarithms that it had not cleared: fit gave another map."""
    words = [sys.executable, "-c", LOADED_AGAIN]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
