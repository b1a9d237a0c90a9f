"""Zstandard frames made by hand, as an attacker would (RFC 8878, section 3.1.1)."""

MAGIC = b"\x28\xb5\x2f\xfd"
SINGLE = 0x20
DIGEST = 0x04
RESERVED = 0x08
UNUSED = 0x10
RAW, RLE, COMPRESSED = 0, 1, 2


def block(kind: int, size: int, body: bytes, *, last: bool = True) -> bytes:
    """Return one block: ``size`` is what its header says."""
    return (size << 3 | kind << 1 | last).to_bytes(3, "little") + body


def frame(
    content: int, *blocks: bytes, flags: int = SINGLE, window: bytes = b"", dictionary: bytes = b""
) -> bytes:
    """Return a frame that declares ``content`` bytes in a field of eight bytes."""
    identity = {0: 0, 1: 1, 2: 2, 4: 3}[len(dictionary)]
    descriptor = bytes([0xC0 | flags | identity])
    return MAGIC + descriptor + window + dictionary + content.to_bytes(8, "little") + b"".join(blocks)


def window(log: int) -> bytes:
    """Return the window descriptor of ``2**log`` bytes."""
    return bytes([(log - 10) << 3])


def unsized(*blocks: bytes, log: int = 10) -> bytes:
    """Return a frame that does not say how long its content is."""
    return MAGIC + b"\x00" + window(log) + b"".join(blocks)


def skippable(body: bytes) -> bytes:
    """Return a frame that decoders skip."""
    return b"\x50\x2a\x4d\x18" + len(body).to_bytes(4, "little") + body
