"""Read any file as spans that tile it: with the reader of its format, or as one opaque span."""

import os
from collections.abc import Callable

from airlift import files
from airlift.errors import FormatTooNewError, MalformedError
from airlift.tensors.formats import gguf, safetensors
from airlift.tensors.span import TensorSpan, tile

Reader = Callable[[str | os.PathLike[str]], tuple[TensorSpan, ...]]
_READERS: dict[str, Reader] = {".safetensors": safetensors.read_spans, ".gguf": gguf.read_spans}


def reader(name: str) -> Reader | None:
    """Return what reads the tensors of a file of this name, None if it claims no format that is known here."""
    lower = name.lower()
    return next((read for suffix, read in _READERS.items() if lower.endswith(suffix)), None)


def spans(path: str | os.PathLike[str], name: str | None = None) -> tuple[TensorSpan, ...]:
    """Return spans that tile all bytes of a file; an empty file has none.

    ``name`` is what people call the file if ``path`` is named by its digest. A file that has no reader, or whose
    header its reader refuses, is one opaque span: whether to carry such a file is for the caller to decide.

    Raises:
        InventoryError: it is a link or a special file.
        UncheckedError: it cannot be read.
    """
    size = _size(path)
    read = reader(name or os.fspath(path))
    if read is not None:
        try:
            return tile(read(path), size)
        except (MalformedError, FormatTooNewError):
            pass
    return tile((), size)


def _size(path: str | os.PathLike[str]) -> int:
    descriptor = files.open_regular(path)
    try:
        with files.reading(path):
            return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
