"""The kernels of another machine: compiled for it, run by an emulator, and called as the compiled module is."""

import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, cast

from tests.conftest import find_tool
from tests.support.kernel_sources import PARITY_SOURCES, SOURCES, without_python

OPERATIONS = {"survey": 3, "analyse": 4, "fit": 1, "write": 3, "read": 8}
"""How many of the buffers of a call are read; those after them are written."""

CALL = struct.Struct("<8i16s9q")


class Emulated:
    """What :class:`airlift.codec.ulp.kernel.Compiled` takes for a module; its arguments are not checked."""

    def __init__(self, calls: BinaryIO, answers: BinaryIO) -> None:
        self._calls, self._answers = calls, answers

    def survey(self, path: str, *arguments: Any) -> None:
        self._call("survey", path, arguments)

    def analyse(self, path: str, *arguments: Any) -> int:
        return self._call("analyse", path, arguments)

    def fit(self, *arguments: Any) -> int:
        return self._call("fit", "scalar", arguments)

    def write(self, path: str, *arguments: Any) -> int:
        return self._call("write", path, arguments)

    def read(self, path: str, *arguments: Any) -> None:
        self._call("read", path, arguments)

    def as_module(self) -> ModuleType:
        return cast("ModuleType", self)

    def _call(self, operation: str, path: str, arguments: tuple[Any, ...]) -> int:
        numbers = next((part for part in arguments if isinstance(part, tuple)), ())
        model = _model(operation, numbers, based=arguments[1] is not None)
        parts = [part for part in arguments if not isinstance(part, tuple)]
        views = [None if part is None else memoryview(part).cast("B") for part in parts]
        lengths = [-1 if view is None else len(view) for view in views]
        lengths += [0] * (9 - len(views))
        number = [*OPERATIONS].index(operation)
        self._calls.write(CALL.pack(number, len(views), *model, path.encode(), *lengths))
        known = OPERATIONS[operation]
        self._calls.write(b"".join(view for view in views[:known] if view is not None))
        self._calls.flush()
        return self._answer([view for view in views[known:] if view is not None])

    def _answer(self, results: list[memoryview]) -> int:
        (answer,) = struct.unpack("<q", self._answers.read(8))
        if answer < 0:
            raise ValueError(self._answers.read(64).rstrip(b"\0").decode())
        for view in results:
            view[:] = self._answers.read(len(view))
        return int(answer)


def _model(operation: str, numbers: tuple[int, ...], *, based: bool) -> tuple[int, ...]:
    """Return the six numbers of a model; a survey is given the first two, and has a base or not."""
    return (*numbers, based, 0, 0, 0) if operation == "survey" else numbers or (8, -1, 0, 0, 0, 0)


@contextmanager
def kernel_of(compiler: str, emulator: str, folder: Path) -> Iterator[Emulated]:
    """Compile the kernel into ``folder``, and yield it running; the test does not run without the programs."""
    server = built("kernel_server.c", SOURCES, compiler, folder)
    with _running(server, emulator, ends=0) as (calls, answers):
        yield Emulated(calls, answers)


PARITY_CALL = struct.Struct("<16s258Q")


class EmulatedParity:
    """What :class:`airlift.erasure.kernel.Compiled` takes for a module; its arguments are not checked."""

    def __init__(self, calls: BinaryIO, answers: BinaryIO) -> None:
        self._calls, self._answers = calls, answers

    def combine(
        self, path: str, weights: memoryview, members: tuple[memoryview, ...], length: int
    ) -> list[bytearray]:
        given = memoryview(weights).cast("B")
        rows, lengths = len(given) // len(members), list(map(len, members))
        lengths += [0] * (255 - len(members))
        self._calls.write(PARITY_CALL.pack(path.encode(), len(members), rows, length, *lengths))
        self._calls.write(b"".join([given, *members]))
        self._calls.flush()
        return [bytearray(self._answers.read(length)) for _ in range(rows)]

    def as_module(self) -> ModuleType:
        return cast("ModuleType", self)


@contextmanager
def parity_kernel_of(
    compiler: str, emulator: str, folder: Path, *, ends: int = 0
) -> Iterator[EmulatedParity]:
    """Do the same with the kernel of the parity code, which ``ends`` with this code."""
    server = built("erasure_server.c", PARITY_SOURCES, compiler, folder)
    with _running(server, emulator, ends=ends) as (calls, answers):
        yield EmulatedParity(calls, answers)


def built(program: str, sources: Path, compiler: str, folder: Path) -> Path:
    """Return a program of this folder, compiled together with a kernel into another folder."""
    server = folder / Path(program).stem
    files = [Path(__file__).with_name(program), *without_python(sources)]
    words = [find_tool(compiler), "-O3", "-static", f"-I{sources}", *map(str, files), "-o", str(server)]
    subprocess.run(words, check=True, timeout=120)
    return server


@contextmanager
def _running(server: Path, emulator: str, *, ends: int) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Yield the input and the output of a program that is emulated."""
    run = [find_tool(emulator), str(server)]
    with subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield cast("BinaryIO", process.stdin), cast("BinaryIO", process.stdout)
        process.stdin.close()
        assert process.wait(timeout=20) == ends
