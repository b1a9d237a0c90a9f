"""Files of every kind that the gate knows, for the fuzzer: a verdict or a refusal, whatever is damaged in them."""

import random
from collections.abc import Callable, Iterator
from functools import partial

from airlift.errors import ForbiddenFileError
from airlift.intake.gate.inspection import MAX_DEPTH, inspect
from airlift.intake.gate.references import check_external, check_index, remote_code
from airlift.intake.gate.unfinished import check_whole
from airlift.intake.gate.views import Held
from tests.fuzz.mutate import Case, Parts
from tests.support.packed import PACKINGS, pickled
from tests.unit.intake.gate.test_code import COMPILED, PORTABLE
from tests.unit.intake.gate.test_containers import SAMPLES, onnx
from tests.unit.intake.gate.test_keras import DENSE, LAMBDA, hdf5, model
from tests.unit.intake.gate.test_unfinished import LFS, PAGE, XET


def look(name: str, parts: Parts, _random: random.Random) -> None:
    """Do what the gate does with a file of this name, each step whatever the others say."""
    view = Held(parts[0])
    found = inspect(view, name)
    assert len(found.remark) < 400
    assert not (found.recognised and found.remark)
    paths = frozenset({name})
    _refused(lambda: check_whole(name, view, paths))
    _refused(lambda: check_index(name, view, paths))
    _refused(lambda: check_external(name, view, paths))
    _refused(lambda: remote_code(name, view))


def _refused(check: Callable[[], object]) -> None:
    try:
        check()
    except ForbiddenFileError as error:
        assert error.message.startswith("model") or error.message.startswith("config")  # noqa: PT017


def cases() -> Iterator[Case]:
    nested = pickled()
    for _ in range(MAX_DEPTH // 2):
        nested = PACKINGS["zip"](PACKINGS["gzip"](nested))
    packed = [pack(data) for pack in PACKINGS.values() for data in (pickled(0), pickled(), b"text " * 99)]
    files = [
        *packed,
        *SAMPLES.values(),
        onnx("../elsewhere"),
        nested,
        PORTABLE,
        COMPILED.co_code,
        hdf5(model(LAMBDA)),
    ]
    for data in files:
        yield Case(partial(look, "model.bin"), (data[:200_000],))
    for data in (LFS, XET, PAGE, model(DENSE), b'{"weight_map": {"a": "b"}}', b'{"auto_map": {"A": "b.C"}}'):
        for name in ("config.json", "model.bin.index.json", "model.safetensors"):
            yield Case(partial(look, name), (data,))
