"""Any file as spans that tile it."""

import os

from airlift import files
from airlift.errors import MalformedError
from airlift.tensors import gguf, safetensors
from airlift.tensors.span import TensorSpan, tile

SUFFIX = ".safetensors"
READERS = {SUFFIX: safetensors.read_spans, ".gguf": gguf.read_spans}


def spans(path: str | os.PathLike[str], name: str | None = None) -> tuple[TensorSpan, ...]:
    """Return spans that tile all bytes of a file; an empty file has none.

    ``name`` is what people call the file if ``path`` is named by its digest. A file whose name does not end in
    ``.safetensors`` or ``.gguf``, or whose header is malformed, is one opaque span: whether to carry such a file is
    for the caller to decide (``read_spans`` of the format says what is wrong).

    Raises:
        InventoryError: it is a link or a special file.
        UncheckedError: it cannot be read.
    """
    size = _size(path)
    lower = (name or os.fspath(path)).lower()
    read = next((reader for suffix, reader in READERS.items() if lower.endswith(suffix)), None)
    if read is not None:
        try:
            return tile(read(path), size)
        except MalformedError:
            pass
    return tile((), size)


def _size(path: str | os.PathLike[str]) -> int:
    descriptor = files.open_regular(path)
    try:
        with files.reading(path):
            return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
