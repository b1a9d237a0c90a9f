"""Files that the gate must look into: pickles, and ways to pack them, made with the standard library."""

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping

import zstandard


class Loaded:
    """Runs code when it is loaded."""

    def __reduce__(self) -> tuple[type[int], tuple[str]]:
        return int, ("1",)


def pickled(protocol: int = 4) -> bytes:
    """Return a pickle that calls something."""
    return pickle.dumps(Loaded(), protocol)


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip archive."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def tarred(members: Mapping[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar archive."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=form) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return data.getvalue()


def npy(descr: str, data: bytes, version: int = 1) -> bytes:
    """Return a NumPy array of one dimension with this type."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}".encode().ljust(117) + b"\n"
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + data


def joblib_zlib(data: bytes) -> bytes:
    """Return what joblib wrote before 0.10: a length in hex, and zlib."""
    return b"ZF" + hex(len(data)).encode().ljust(19) + zlib.compress(data)


def lz4_frame(data: bytes) -> bytes:
    """Return an LZ4 frame with one block of literals that ends in a copy of four bytes."""
    literals = data + data[-4:] if len(data) < 4 else data
    count = len(literals)
    more = bytes([255] * ((count - 15) // 255) + [(count - 15) % 255]) if count >= 15 else b""
    block = bytes([min(count, 15) << 4]) + more + literals
    return b"\x04\x22\x4d\x18\x60\x40\x82" + len(block).to_bytes(4, "little") + block + bytes(4)


PACKINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zlib-1": lambda data: zlib.compress(data, 1),
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "lz4": lz4_frame,
    "joblib": joblib_zlib,
    "zip": lambda data: zipped({"weights/0": data}),
    "zip-stored": lambda data: zipped({"a.txt": b"text", "weights/0": data}, zipfile.ZIP_STORED),
    "zip-bz2": lambda data: zipped({"weights/0": data}, zipfile.ZIP_BZIP2),
    "zip-lzma": lambda data: zipped({"weights/0": data}, zipfile.ZIP_LZMA),
    "tar": lambda data: tarred({"model_config.yaml": b"a: 1\n", "model_weights.ckpt": data}),
    "tar-gnu": lambda data: tarred({"x" * 150: data}, tarfile.GNU_FORMAT),
    "tar-ustar": lambda data: tarred({"a": b"", "b": data}, tarfile.USTAR_FORMAT),
    "tar.gz": lambda data: gzip.compress(tarred({"a.yaml": b"a: 1\n", "b": data})),
    "tar.xz": lambda data: lzma.compress(tarred({"padding": bytes(6 << 20), "b": data})),
    "npy": lambda data: npy("'|O'", data),
    "npz": lambda data: zipped({"arr_0.npy": npy("'|O'", data)}),
    "gzip of many": lambda data: gzip.compress(b"") * 3 + gzip.compress(data[:9]) + gzip.compress(data[9:]),
    "bz2 of many": lambda data: bz2.compress(b"") + bz2.compress(data),
    "xz of many": lambda data: lzma.compress(b"") + lzma.compress(data),
}
"""Ways in which a pickle is packed, each with what makes it."""
