"""The compiled kernel in a process: loaded again, checked before its first use, and left alone when it is wrong."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
import pytest

from airlift.codec.ulp import kernel, reference, ulp
from airlift.codec.ulp.kernel import selftest
from airlift.kernels import Choice
from airlift.tensors.element import Element
from tests.support.compiled import needing
from tests.support.kernel_sources import EVERY_SOURCES, SOURCES
from tests.support.tensors import COLUMNS, ROWS, weights

FOLDER = Path(__file__).resolve().parents[4]
KERNELS = kernel.names()
needs_kernel = needing(KERNELS)

LOADED_AGAIN = """
import importlib.util, sys
import numpy as np
from airlift.codec.ulp import kernel, reference, table, ulp
from airlift.tensors.element import Element
from tests.support.tensors import weights

def loaded():
    spec = importlib.util.spec_from_file_location(kernel.KERNELS.module.__name__, kernel.KERNELS.module.__file__)
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


@needs_kernel
def test_a_kernel_that_is_loaded_again_gives_the_same_bytes() -> None:
    """The second initialisation shifted into a table of logarithms that it had not cleared: fit gave another map."""
    words = [sys.executable, "-c", LOADED_AGAIN]
    done = subprocess.run(words, cwd=FOLDER, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]


# -- the known answer ----------------------------------------------------------------------------------------------


class Spoilt:
    """The compiled module with one of its functions replaced; counts how often it was checked."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name, self._function, self.surveys = name, function, 0

    def __getattr__(self, name: str) -> Any:
        self.surveys += name == "survey"
        return self._function if name == self._name else getattr(compiled(), name)


def compiled() -> ModuleType:
    assert ORIGINAL is not None
    return ORIGINAL


ORIGINAL = kernel.KERNELS.module


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[..., Any]], Spoilt]:
    """Return what puts a spoilt module in place, as if the process had just started."""

    def put(name: str, function: Callable[..., Any]) -> Spoilt:
        spoilt = Spoilt(name, function)
        monkeypatch.setattr(kernel.KERNELS, "module", cast("ModuleType", spoilt))
        monkeypatch.setattr(kernel.KERNELS, "_choice", None)
        return spoilt

    return put


def other_map(counts: Any, mapped: Any, frequencies: Any) -> int:
    number = int(compiled().fit(counts, mapped, frequencies))
    mapped[-1] = 0
    return number


def other_word(*given: Any) -> int:
    count = int(compiled().write(*given))
    given[-1][-1] ^= 1
    return count


def other_unit(*given: Any) -> None:
    compiled().read(*given)
    given[-1][-1] ^= 1


def no_result(*given: Any) -> int:
    return 0


def old_arguments(path: str) -> None:
    raise AssertionError


def refuses(*given: Any) -> None:
    raise ValueError("this machine has no such path")


WRONG: dict[str, list[Callable[..., Any]]] = {
    "survey": [no_result, refuses],
    "analyse": [no_result, old_arguments],
    "fit": [other_map, no_result, refuses],
    "write": [other_word, no_result],
    "read": [other_unit, no_result, refuses],
}


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_gives_the_known_answer(name: str) -> None:
    assert selftest.digest(kernel.get(name)) == selftest.DIGEST


@needs_kernel
@pytest.mark.parametrize(("name", "function"), [(name, one) for name, some in WRONG.items() for one in some])
def test_a_kernel_that_is_wrong_is_not_used(name: str, function: Callable[..., Any], spoil: Any) -> None:
    spoil(name, function)
    assert kernel.chosen() == Choice(reference, refused=KERNELS[0])
    assert kernel.default().name == "numpy"


@needs_kernel
def test_blocks_are_right_although_the_kernel_is_wrong(spoil: Any) -> None:
    spoil("fit", other_map)
    new, base = (memoryview(weights(Element.BF16, step=step)) for step in (0.02, 0.0))
    plans = [
        ulp.plan(new, base, Element.BF16, [(COLUMNS, ROWS * COLUMNS)], using=using)
        for using in (None, reference)
    ]
    assert None not in plans
    made, expected = (ulp.write(plan) for plan in plans if plan is not None)
    assert made == expected
    assert ulp.read(memoryview(made), base, Element.BF16, len(new)) == new


@needs_kernel
def test_the_path_that_was_asked_for_is_the_one_that_is_checked(spoil: Any) -> None:
    checked = spoil("wanted", lambda: "scalar")
    assert kernel.chosen() == Choice(kernel.get("scalar"))
    assert checked.surveys == len(selftest.MODELS)
    unchecked = spoil("wanted", lambda: "numpy")
    assert kernel.chosen() == Choice(reference)
    assert unchecked.surveys == 0


@needs_kernel
def test_threads_that_come_first_together_get_one_answer(spoil: Any) -> None:
    def slow(*given: Any) -> int:
        time.sleep(0.001)
        return int(compiled().fit(*given))

    checked = spoil("fit", slow)
    with ThreadPoolExecutor(8) as pool:
        choices = list(pool.map(lambda _: kernel.chosen(), range(16)))
    assert set(map(id, choices)) == {id(choices[0])}
    assert choices[0] == Choice(kernel.get(KERNELS[0]))
    assert checked.surveys == len(selftest.MODELS)


def test_a_process_that_codes_nothing_checks_nothing() -> None:
    code = "import airlift.codec; from airlift.codec.ulp import kernel; print(kernel.KERNELS._choice)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=FOLDER, capture_output=True, text=True, check=True
    )
    assert done.stdout == "None\n"


def test_the_input_of_the_known_answer_reaches_what_it_should() -> None:
    for model in selftest.MODELS:
        case = selftest._case(model)
        index, counts, raw = reference.analyse(case.new, case.base, case.groups, model)
        assert len(raw) or model.unit.bits <= 8
        assert len(np.unique(index & 255)) >= 16
        assert (counts > 0).sum() >= 16
        assert len(index) > reference.TILE


# -- what the README of the kernel promises ------------------------------------------------------------------------


@pytest.mark.parametrize("name", KERNELS[:-1])
@pytest.mark.parametrize("element", [Element.BF16, Element.F32, Element.F64])
def test_units_may_lie_anywhere(name: str, element: Element) -> None:
    using = kernel.get(name)
    new, base = (memoryview(b"?" + weights(element, step=step))[1:] for step in (0.02, 0.0))
    plan = ulp.plan(new, base, element, using=using)
    assert plan is not None
    data = memoryview(b"?" + ulp.write(plan, using=using))[1:]
    room = memoryview(bytearray(len(new) + 1))[1:]
    assert ulp.read(data, base, element, len(new), out=room, using=using) == new


@pytest.mark.parametrize("name", KERNELS[:-1])
def test_results_that_are_not_aligned_are_refused(name: str) -> None:
    sizes, unit, units = np.array([8], "<u4"), (16, 7), np.zeros(8, "<u2")
    sums, tops, moved = (memoryview(bytearray(length + 1)) for length in (8, 2, 1))
    compiled().survey(name, units, None, sizes, unit, sums[:-1], tops[:-1], moved[:-1])
    for wrong in ((sums[1:], tops[:-1]), (sums[:-1], tops[1:])):
        with pytest.raises(ValueError, match="aligned"):
            compiled().survey(name, units, None, sizes, unit, *wrong, moved[:-1])


def test_threads_write_the_same_bytes() -> None:
    new, base = (memoryview(weights(Element.BF16, step=step, rows=800)) for step in (0.02, 0.0))

    def written(_: int) -> bytes:
        plan = ulp.plan(new, base, Element.BF16, [(COLUMNS, 800 * COLUMNS)])
        assert plan is not None
        return ulp.write(plan)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(written, range(16)))) == 1


@pytest.mark.parametrize("sources", EVERY_SOURCES, ids=["predictions", "codec", "parity", "digests"])
def test_the_readme_names_tests_that_there_are(sources: Path) -> None:
    """A promise whose test was renamed is held by nothing that a reader finds."""
    text = (sources / "README.md").read_text()
    there_are = "".join(path.read_text() for path in (FOLDER / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > (10 if sources == SOURCES else 6)
    assert [name for name in sorted(named) if f"def {name}(" not in there_are] == []
    files = set(re.findall(r"`((?:\w+/)?\w+\.py)`", text)) - {"__init__.py"}
    there = {"/".join(path.parts[-n:]) for path in FOLDER.rglob("*.py") for n in (1, 2)}
    assert files <= there
