import bz2
import collections
import gzip
import io
import pickle
import pickletools
import zipfile
import zlib
from collections.abc import Callable

import pytest

from airlift.intake.gate.inspection import inspect
from airlift.intake.gate.views import Held
from tests.support.weights import noise, safetensors, weights


class Loaded:
    """Runs code when it is loaded."""

    def __reduce__(self) -> tuple[type[int], tuple[str]]:
        return int, ("1",)


def zipped(name: str, content: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("version", "3")
        archive.writestr(name, content)
        archive.writestr("padding", noise(0, 200_000))
    return data.getvalue()


def judge(data: bytes) -> bool:
    return bool(inspect(Held(data), "a file").pickle)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "value",
    [Loaded(), {"weights": [1.5, 2.5, 3.5]}, collections.OrderedDict(a=1), [None] * 40_000, b"x" * 200_000],
    ids=["code", "plain", "ordered", "long", "bytes"],
)
def test_pickles_of_every_protocol(protocol: int, value: object) -> None:
    """THREATS, content: pickle by content rather than by name."""
    assert judge(pickle.dumps(value, protocol))


def test_pickle_followed_by_anything() -> None:
    assert judge(pickle.dumps(Loaded(), 0) + noise(1, 100))
    assert judge(pickle.dumps(Loaded(), 4) + noise(1, 100_000))


@pytest.mark.parametrize(
    "number",
    [
        b"I0b1\n",
        b"I0o17\n",
        b"L-0B1_1L\n",
        b"I\0x\n",
        b"I1\0" + b"x" * 40_000 + b"\n",
        b"I0o" + b"7" * 40_000 + b"\n",
    ],
)
def test_numbers_as_only_some_write_them(number: bytes) -> None:
    """Threat, content: a number before the call that the loader reads and the gate does not."""
    assert judge(number + b"0" + pickle.dumps(Loaded(), 0))


def test_pickles_after_another() -> None:
    """A loader may read any number of them from one file."""
    assert judge(b"N." * 9 + pickle.dumps(Loaded(), 0))
    assert judge(b"N." * 200_000)


def test_a_name_alone_is_imported() -> None:
    """Threat, content: to look a name up is to run its module."""
    assert judge(b"cantigravity\ngeohash\n.")


def test_call_before_an_opcode_that_stops_the_walk() -> None:
    """A loader has run the call before it meets the opcode that it does not know."""
    for protocol in (0, 2, 4):
        data = pickletools.optimize(pickle.dumps(Loaded(), protocol))
        assert data.endswith(b".")
        assert judge(data[:-1] + b"\xff" + noise(1, 50))


def test_old_torch_file_starts_with_a_pickled_number() -> None:
    assert judge(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + noise(1, 10))


@pytest.mark.parametrize("name", ["archive/data.pkl", "model/x.txt"])
def test_zip_with_a_pickle_inside(name: str) -> None:
    assert judge(zipped(name, pickle.dumps({"a": 1})))


def test_text_protocol_with_inst() -> None:
    assert judge(b"(S'echo'\nios\nsystem\n.")


def test_zip_without_a_pickle() -> None:
    assert not judge(zipped("archive/data.pkl", b"a name alone is no pickle"))


def test_array_of_objects() -> None:
    head = b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    assert judge(head + b" " * 60)
    assert not judge(head.replace(b"|O", b"<f4") + b" " * 60)


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress, lambda data: zlib.compress(data, 9)])
def test_compressed_pickle(compress: Callable[[bytes], bytes]) -> None:
    assert judge(compress(pickle.dumps(Loaded())))
    assert not judge(compress(b"harmless text, at some length " * 10))


def test_a_damaged_stream_is_no_pickle() -> None:
    assert not judge(b"\x1f\x8b" + noise(3, 100))
    assert not judge(b"\x78\x9c" + noise(3, 100))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b".",
        b"import os\nimport sys\n\nprint(os)\n",
        b"class Foo:\n    pass\n",
        b"I like lists.\n",
        b"cat\ndog\nbird\n",
        b"(internal use only)\nsecond line\n",
        b"(]dog\nlist\n",
        b"(o",
        b"R",
        b"cab\ncad\nRat\n",
        b"Vector stuff\nand more\n",
        b"(see below)\nnothing.\n",
        b'{"model_type": "tiny"}\n',
        b"# a title\n\ntext.\n",
        b"N",
        b"\x80",
        b"\x80\x04",
        b"GGUF\x03\x00\x00\x00",
        b"\x80\x80NN.",
        b"Ix\n0.",
        b"Sno quotes\n.",
        bz2.compress(b"text" * 100),
    ],
)
def test_what_is_no_pickle(text: bytes) -> None:
    assert not judge(text)


def test_no_safetensors_file_passes_for_a_pickle() -> None:
    """The length of the header is the first byte: 0x80 0x02 to 0x05 is what a pickle starts with, too."""
    assert not judge(weights(1))
    for length in (0x280, 0x380, 0x480, 0x580, 0x85_0280, 0x8A_0280, 0x58_0480):
        assert not judge(length.to_bytes(8, "little") + b'{"a":' + b" " * 1000)
    assert not judge(safetensors({"a": ("U8", (4,), b"\x80\x04..")}))


def test_noise_is_no_pickle() -> None:
    assert not any(judge(noise(seed, 4096)) for seed in range(300))


@pytest.mark.parametrize(
    "before",
    [
        b"\x8e" + (200_000).to_bytes(8, "little") + noise(7, 200_000),
        b"T" + (200_000).to_bytes(4, "little") + noise(8, 200_000),
        b"V" + b"long " * 60_000 + b"\n",
        b"V" + b"long " * 4_000_000 + b"\n",
        b"I0x1f\n",
        b"I1\0anything\n",
        b"L12L\n",
        b"F1e5\n",
        b"N0" * 50_000 + b"N",
    ],
    ids=["bytes", "string", "line", "very long line", "hex", "zero", "long", "float", "many"],
)
def test_what_stands_before_a_call_hides_nothing(before: bytes) -> None:
    """THREATS, content: a loader of protocol 0 takes all of this, and then runs what is behind it."""
    assert judge(before + b"0cposix\nsystem\n(S'true'\ntR.")


def test_a_pickle_behind_a_harmless_one() -> None:
    """Files of torch before 1.6 hold four, in any protocol, and the last one makes the objects."""
    assert judge(b"L119547037146038801333356L\n.I1001\n." + pickle.dumps(Loaded(), 0) + noise(1, 300_000))


def test_opcodes_that_do_not_end_within_bounds() -> None:
    assert judge(b"N0" * 200_000)
