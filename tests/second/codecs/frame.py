"""zstd frames (C3): the header is judged by hand before anything is unpacked."""

import zstandard

from tests.second.errors import demand, malformed

WINDOW = 1 << 24


def unpack(data: bytes, length: int, prefix: bytes = b"") -> bytes:
    """Unpack one frame that must hold exactly ``length`` bytes.

    Args:
        data: The frame, and nothing after it.
        length: Bytes that it must declare and hold.
        prefix: What stands before its content (C6).

    Raises:
        Refused: ``malformed``.
    """
    demand(length > 0, "an empty frame")
    demand(_declared(data) == length, "a frame of another length")
    known = (
        zstandard.ZstdCompressionDict(prefix, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if prefix else None
    )
    decompressor = zstandard.ZstdDecompressor(dict_data=known, max_window_size=max(WINDOW, 1 << 25))
    try:
        whole = decompressor.decompress(data, max_output_size=length, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise malformed(f"a frame: {error}") from None
    demand(len(whole) == length, "a frame that holds another length")
    return whole


def _declared(data: bytes) -> int:
    """Return the content size that a frame's header declares (RFC 8878, section 3.1.1.1)."""
    demand(data[:4] == b"\x28\xb5\x2f\xfd" and len(data) >= 6, "no frame")
    descriptor = data[4]
    demand(descriptor & 0x1F == 0, "a frame with a dictionary, a checksum or a reserved bit")
    single = bool(descriptor & 0x20)
    width = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    demand(width, "a frame without a content size")
    at = 5 if single else 6
    demand(len(data) >= at + width, "a header that is cut")
    size = int.from_bytes(data[at : at + width], "little") + (256 if width == 2 else 0)
    window = size if single else _window(data[5])
    demand(window <= WINDOW, "a window that is too large")
    return size


def _window(byte: int) -> int:
    base = 1 << (10 + (byte >> 3))
    return base + (base >> 3) * (byte & 7)
