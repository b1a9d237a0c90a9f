"""Read any file as spans that tile it: with the reader of its format, or as one opaque span.

A reader is chosen by what a file starts with and by its name. Some files say what lies in others beside them, so the
files of a component are read together.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from airlift.errors import FormatTooNewError, MalformedError
from airlift.tensors.formats import (
    archive,
    coreml,
    ctranslate2,
    fasttext,
    gguf,
    npy,
    onnx,
    openvino,
    safetensors,
    tflite,
    whisper,
)
from airlift.tensors.layout import Layout, distinct
from airlift.tensors.region import Region, opened
from airlift.tensors.span import TensorSpan, tile

Path = str | os.PathLike[str]
Reader = Callable[[Path], tuple[TensorSpan, ...]]

HEAD_BYTES = 512
_STRICT: dict[str, Reader] = {".safetensors": safetensors.read_spans, ".gguf": gguf.read_spans}


@dataclass(frozen=True, slots=True)
class _Format:
    """``fits`` says, of the name and the first bytes of a file, whether to try ``read`` (region, path, name)."""

    fits: Callable[[str, bytes], bool]
    read: Callable[[Region, Path, str], Layout]


def _plain(read: Callable[[Region], Layout]) -> Callable[[Region, Path, str], Layout]:
    return lambda region, _path, _name: read(region)


_FORMATS = (
    _Format(gguf.fits, lambda _region, path, _name: Layout(gguf.read_spans(path))),
    _Format(safetensors.fits, _plain(safetensors.read)),
    _Format(archive.fits, _plain(archive.read)),
    _Format(npy.fits, lambda region, _path, _name: npy.read(region)),
    _Format(tflite.fits, _plain(tflite.read)),
    _Format(fasttext.fits, _plain(fasttext.read)),
    _Format(whisper.fits, _plain(whisper.read)),
    _Format(coreml.fits, _plain(coreml.read)),
    _Format(ctranslate2.fits, _plain(ctranslate2.read)),
    _Format(openvino.fits, lambda region, _path, name: openvino.read(region, name)),
    _Format(onnx.fits, _plain(onnx.read)),
)


def tells(name: str) -> bool:
    """Say whether a file of this name may say what is in files beside it."""
    return name.lower().endswith((".onnx", ".xml"))


def reader(name: str) -> Reader | None:
    """Return what reads a file that claims by its name to be valid in a format that is refused if it is not."""
    lower = name.lower()
    return next((read for suffix, read in _STRICT.items() if lower.endswith(suffix)), None)


def spans(path: Path, name: str | None = None) -> tuple[TensorSpan, ...]:
    """Return spans that tile all bytes of a file, read by itself; an empty file has none.

    ``name`` is what people call the file if ``path`` is named by its digest.

    Raises:
        InventoryError: it is a link or a special file.
        UncheckedError: it cannot be read.
    """
    called = PurePosixPath(name or os.fspath(path)).name
    return component_spans({called: path})[called]


def component_spans(paths: Mapping[str, Path]) -> dict[str, tuple[TensorSpan, ...]]:
    """Return for each file of a component, by relative path, spans that tile its bytes; an empty file has none.

    ``paths`` are where the files are, whatever they are named there. A file that no reader takes, or that its reader
    refuses, is one opaque span: whether to carry such a file is for the caller to decide.

    Raises:
        InventoryError: one is a link or a special file.
        UncheckedError: one cannot be read.
    """
    read = {name: _read(path, name) for name, path in sorted(paths.items())}
    found = {name: list(layout.tensors) for name, (layout, _) in read.items()}
    for name, (layout, _) in read.items():
        for location, span in layout.elsewhere:
            holder = _beside(name, location)
            if holder in found and not read[holder][0].tensors:
                found[holder].append(span)
    return {name: _tiled(found[name], size) for name, (_, size) in read.items()}


def _read(path: Path, name: str) -> tuple[Layout, int]:
    """Return what a file holds, and its size."""
    with opened(path) as region:
        head, lower = region.read(0, min(HEAD_BYTES, region.size)), name.lower()
        for known in _FORMATS:
            if known.fits(lower, head):
                try:
                    layout = known.read(region, path, name)
                    tile(distinct(layout.tensors), region.size)
                except (MalformedError, FormatTooNewError):
                    continue
                return layout, region.size
        return Layout(), region.size


def _beside(name: str, location: str) -> str:
    """Return the relative path of a file that is named beside another; it is only looked for, never opened."""
    return (PurePosixPath(name).parent / location).as_posix()


def _tiled(tensors: Iterable[TensorSpan], size: int) -> tuple[TensorSpan, ...]:
    try:
        return tile(distinct(tensors), size)
    except MalformedError:
        return tile((), size)
