"""One zstd frame: how it is written, and the one form of it that is read (SPEC C3).

Only frames are read that declare the content size that is expected, without dictionary id, content digest, skippable
frames or bytes after the end. ``zstandard.decompress(max_output_size=...)`` ignores its limit when a frame declares
its size, so the declared size is checked before anything is allocated.

Source: RFC 8878, sections 3.1.1 (frames) and 3.1.1.1.2 (windows).
"""

from collections.abc import Mapping

import zstandard

from airlift.codec.block import MAX_LENGTH
from airlift.errors import MalformedError

MAGIC = b"\x28\xb5\x2f\xfd"
MIN_WINDOW_LOG = 10
NOT_TAKEN = 0b11111
"""Of the frame header's first byte: dictionary id (its field may hold 0), digest, reserved bit, unused bit."""

_FIELDS = ("hash_log", "chain_log", "search_log", "min_match", "target_length", "strategy")


def log2(length: int) -> int:
    """Return the least n with ``2**n >= length``, but at least what a zstd window must have."""
    return max(MIN_WINDOW_LOG, (length - 1).bit_length())


def level(number: int, length: int, prefix: int, *, table_log: int = 0) -> dict[str, int]:
    """Return the parameters of a zstd level for ``length`` bytes after a prefix of ``prefix`` bytes.

    The match tables grow with the prefix to at most ``2**table_log`` entries: those of the low levels are too small
    to remember a prefix of some MiB, and what is forgotten is coded again.
    """
    preset = zstandard.ZstdCompressionParameters.from_level(number, source_size=length, dict_size=prefix)
    parameters = {name: int(getattr(preset, name)) for name in _FIELDS}
    wanted = min(table_log, log2(length + prefix))
    for name in ("hash_log", "chain_log"):
        parameters[name] = max(parameters[name], wanted)
    return parameters


def write(data: memoryview, parameters: Mapping[str, int], prefix: memoryview | None = None) -> bytes:
    """Return ``data`` (not empty) as one frame. The window holds all of it, which keeps the whole prefix in reach."""
    settings = zstandard.ZstdCompressionParameters(
        window_log=log2(len(data)), write_content_size=1, write_checksum=0, write_dict_id=0, **parameters
    )
    return zstandard.ZstdCompressor(dict_data=_prefix(prefix), compression_params=settings).compress(data)


def read(frame: memoryview, length: int, prefix: memoryview | None = None) -> bytes:
    """Return the ``length`` bytes (more than 0) of a frame.

    Raises:
        MalformedError: the frame is damaged or is not of the one accepted form.
    """
    _check_header(frame, length)
    reader = zstandard.ZstdDecompressor(dict_data=_prefix(prefix), max_window_size=MAX_LENGTH)
    try:
        data = reader.decompress(frame, max_output_size=length, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise MalformedError("a zstd frame is damaged") from error
    if len(data) != length:
        raise MalformedError("a zstd frame has the wrong length", expected=str(length), found=str(len(data)))
    return data


def _check_header(frame: memoryview, length: int) -> None:
    if frame[:4] != MAGIC:
        raise MalformedError("a zstd frame does not start with its magic number")
    try:
        header = zstandard.get_frame_parameters(frame)
    except zstandard.ZstdError as error:
        raise MalformedError("a zstd frame has no valid header") from error
    if header.content_size != length or not length:
        raise MalformedError("a zstd frame declares another length", expected=f"{length} bytes")
    if frame[len(MAGIC)] & NOT_TAKEN or header.window_size > MAX_LENGTH:
        raise MalformedError("a zstd frame has a dictionary id, a digest of its own, or too large a window")


def _prefix(prefix: memoryview | None) -> zstandard.ZstdCompressionDict | None:
    if prefix is None:
        return None
    return zstandard.ZstdCompressionDict(prefix, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
