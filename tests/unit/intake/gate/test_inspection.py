import bz2
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable

import pytest
import zstandard

from airlift.intake.gate.inspection import MAX_DEPTH, inspect
from airlift.intake.gate.views import KEPT, Budget, Held
from tests.support.packed import PACKINGS, npy, pickled, tarred, zipped
from tests.support.weights import noise
from tests.unit.intake.gate.test_keras import LAMBDA, hdf5, model


def look(data: bytes, name: str = "file.bin") -> tuple[str, str]:
    found = inspect(Held(data), name)
    return found.pickle, found.recognised


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_in_any_wrapping(packing: str, protocol: int) -> None:
    """THREATS, content: a pickle in bz2, xz, tar, or behind a joblib header."""
    assert look(PACKINGS[packing](pickled(protocol)))[0]


@pytest.mark.parametrize("packing", [name for name in PACKINGS if not name.startswith("np")])
def test_text_in_any_wrapping_passes(packing: str) -> None:
    pickle, recognised = look(PACKINGS[packing](b"harmless text, at some length " * 10))
    assert not pickle
    assert recognised or packing == "tar.xz"  # the padding there is not text


@pytest.mark.parametrize("outer", ["gzip", "bz2", "xz", "zip", "tar", "zstd"])
@pytest.mark.parametrize("inner", ["gzip", "lzma", "zip-stored", "tar", "npz", "lz4"])
def test_a_wrapping_in_a_wrapping(outer: str, inner: str) -> None:
    assert look(PACKINGS[outer](PACKINGS[inner](pickled())))[0]


@pytest.mark.parametrize(
    "pack", [gzip.compress, lambda data: zipped({"x": data}), lambda data: tarred({"x": data})]
)
def test_what_is_packed_too_deeply_is_refused_unseen(pack: Callable[[bytes], bytes]) -> None:
    """Threat, content: wrappings nested until nobody looks."""
    data = b"text"
    for _ in range(MAX_DEPTH):
        data = pack(data)
    assert look(data)[1]
    for _ in range(10):
        data = pack(data)
    assert "packed more than" in look(data)[0]


def test_what_stands_in_front_of_an_archive_hides_nothing() -> None:
    """Threat, content: a file that is a picture by its head and an archive by its tail."""
    archive = zipped({"data.pkl": pickled()})
    assert look(b"\x89PNG\r\n\x1a\n" + noise(1, 3000) + archive)[0]
    assert look(archive + b"comment that the end record does not state")[0]


def test_names_in_local_headers_do_not_matter() -> None:
    archive = bytearray(zipped({"data.pkl": pickled()}))
    archive[30:38] = b"text.txt"
    assert look(bytes(archive))[0]


def test_an_archive_in_a_comment_hides_nothing() -> None:
    """Readers take the last end record, or the one whose comment fits: both are looked at."""
    harmless, data = zipped({"a.txt": b"text"}), io.BytesIO(zipped({"data.pkl": pickled()}))
    with zipfile.ZipFile(data, "a") as archive:
        archive.comment = harmless
    assert look(data.getvalue())[0]


def test_a_wide_directory_beside_a_short_one() -> None:
    """Threat, content: a 64-bit end record that only some readers follow."""
    bad, good = zipped({"data.pkl": pickled()}), zipped({"a.txt": b"text"})
    end = bad.rindex(b"PK\x05\x06")
    length, offset = struct.unpack_from("<LL", bad, end + 12)
    place = len(good)
    wide = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, length, place + offset)
    body = bad[:offset] + bad[offset : offset + length - 4] + (place).to_bytes(4, "little")
    entry = bytearray(bad[offset : offset + length])
    entry[42:46] = place.to_bytes(4, "little")
    body = bad[:offset] + bytes(entry)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, place + len(body), 1)
    last = good[good.rindex(b"PK\x05\x06") :]
    assert look(good + body + wide + locator + last)[0]


def test_an_archive_that_is_cut_off_is_looked_at_from_the_front() -> None:
    data = zipped({"version": b"3", "data.pkl": pickled(), "data/0": noise(1, 9000)})
    pickle, recognised = look(data[:-200])
    assert pickle
    assert not recognised
    harmless = zipped({"a.txt": b"text", "data/0": noise(1, 9000)})
    assert inspect(Held(harmless[:-200]), "a.zip").remark.startswith("zip archive: its directory is missing")


def test_a_large_archive_in_a_stream_is_looked_at_from_the_front() -> None:
    members = {"a": bytes(2 * KEPT), "arr.npy": npy("'|O'", pickled())}
    assert look(lzma.compress(zipped(members, zipfile.ZIP_STORED), preset=0))[0]


def test_an_encrypted_member_is_told() -> None:
    data = bytearray(zipped({"a.txt": b"text"}))
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    found = inspect(Held(bytes(data)), "a.zip")
    assert (found.pickle, found.recognised) == ("", "")
    assert found.remark == "zip archive: 'a.txt' in it cannot be looked into"


def test_a_bomb_costs_no_more_than_its_budget() -> None:
    """Threat, content: a small file that unpacks to more than fits anywhere."""
    bomb = zlib.compress(bytes(64 << 20), 9)
    budget = Budget(unpacked=1 << 20)
    found = inspect(Held(gzip.compress(bomb)), "a.gz", budget)
    assert not found.recognised
    assert budget.unpacked > -(1 << 20)
    many = zipped({f"{place}.gz": gzip.compress(bytes(1 << 20)) for place in range(20)})
    found = inspect(Held(many), "a.zip", Budget(unpacked=100_000))
    assert found.remark == "zip archive: there is more in it than is looked into"


@pytest.mark.parametrize("members", [0, 1, 5])
def test_members_are_bounded(members: int) -> None:
    data = zipped({str(place): b"x" for place in range(9)})
    assert inspect(Held(data), "a.zip", Budget(members=members)).remark


def test_torchscript_is_code() -> None:
    data = zipped({"m/data.pkl": pickled(), "m/code/__torch__/model.py": b"class M(Module):\n  pass\n"})
    found = inspect(Held(data), "model.jit")
    assert "'m/data.pkl'" in found.pickle
    assert found.program == "Python source in 'm/code/__torch__/model.py'"


@pytest.mark.parametrize("magic", [b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07\x01\0", b"\x1f\x9d\x90"])
def test_what_cannot_be_looked_into_is_told(magic: bytes) -> None:
    found = inspect(Held(magic + noise(1, 300)), "a.txt")
    assert (found.pickle, found.recognised) == ("", "")
    assert found.remark


def test_streams_that_break() -> None:
    data = gzip.compress(noise(1, 50_000))
    assert inspect(Held(data[:-5000]), "a.gz").remark == "gzip: damaged"
    assert look(b"\x1f\x8b\x08" + noise(3, 100)) == ("", "")
    assert look(b"x\x9c marks the spot, as text goes\n")[1] in {"", "text"}


def test_an_array_of_objects_in_messagepack() -> None:
    """msgpack-numpy keeps what it cannot say as a pickle, under the kind O."""
    data = b"\x83\xc4\x02nd\xc3\xc4\x04kind\xc4\x01O\xc4\x04data\xc4" + bytes([len(pickled())]) + pickled()
    assert "objects" in look(data)[0]
    assert look(data.replace(b"\x01O", b"\x01f"))[1] == "MessagePack"


def test_a_long_member_of_a_packed_archive_is_passed_but_once() -> None:
    """What is unpacked counts against a budget: a second pass would hide what follows."""
    data = lzma.compress(tarred({"a": bytes(40 << 20), "b": pickled()}), preset=0)
    assert inspect(Held(data), "a.tar.xz", Budget(unpacked=41 << 20)).pickle


def test_a_stream_that_does_not_come_to_the_point() -> None:
    """Threat, content: more empty streams than anybody reads, and then a pickle: loaders read them all."""
    data = gzip.compress(b"") * 300 + gzip.compress(pickled())
    assert "a pickle in what gzip packs" in look(data)[0]
    found = inspect(Held(data), "a.gz", Budget(unpacked=1 << 20))
    assert (found.recognised, bool(found.pickle)) == ("", True)


def test_a_line_that_does_not_end_within_the_budget() -> None:
    data = lzma.compress(b"V" + b"x" * (8 << 20) + b"\n0" + pickled(0), preset=0)
    assert look(data)[0]
    found = inspect(Held(data), "a.xz", Budget(unpacked=4 << 20))
    assert (found.recognised, found.remark) == ("", "xz: there is more in it than is looked into")


def test_a_file_that_is_two_things_is_judged_as_both() -> None:
    """Threat, content: a harmless archive behind what is loaded, or the other way round."""
    harmless, bad = zipped({"a.txt": b"text"}), zipped({"data.pkl": pickled()})
    lambdas = hdf5(model(LAMBDA))
    assert inspect(Held(lambdas + harmless), "m.h5").code
    assert inspect(Held(b"\x89PNG\r\n\x1a\n".ljust(8192, b"\0") + lambdas), "m.h5").code
    assert look(gzip.compress(pickled()) + harmless)[0]
    assert look(tarred({"a.bin": pickled(), "b.zip": harmless}))[0]
    assert look(tarred({"a.bin": b"text", "b.zip": bad}))[0]
    assert look(npy("'<f4'", bytes(4)) + bad)[0]
    assert look(npy("'|O'", pickled()) + harmless)[0]


def test_a_harmless_file_that_ends_in_an_archive() -> None:
    """TFLite models carry their labels so."""
    assert look(b"\x1c\0\0\0TFL3" + noise(1, 900) + zipped({"labels.txt": b"a"})) == ("", "TFLite")
    found = inspect(Held(noise(1, 900) + zipped({"labels.txt": b"a"})), "a.bin")
    assert (found.recognised, found.remark) == ("", "what stands before a zip archive is not known")


def test_a_tar_archive_whose_first_member_has_no_name() -> None:
    assert look(tarred({"": pickled()}))[0]


def long_gzip(data: bytes, flags: int, extra: bytes = b"", crc: int | None = None) -> bytes:
    """Return a gzip file with these flags and what they announce."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    total = zlib.crc32(data) if crc is None else crc
    head = b"\x1f\x8b\x08" + bytes([flags]) + bytes(6) + extra
    return head + packer.compress(data) + packer.flush() + struct.pack("<LL", total, len(data))


@pytest.mark.parametrize(
    ("flags", "extra"),
    [
        (4, b"\5\0extra"),
        (8, b"name\0"),
        (16, b"x" * 40_000 + b"\0"),
        (2, b"\0\0"),
        (0xE0, b""),
        (31, b"\0\0a\0b\0\0\0"),
    ],
)
def test_gzip_headers_that_loaders_read(flags: int, extra: bytes) -> None:
    """Threat, content: a header with a wrong sum, or flags that nobody knows: CPython does not mind."""
    assert look(long_gzip(pickled(), flags, extra))[0]


@pytest.mark.parametrize("size", [0, 9000, 50_000])
def test_a_wrong_sum_hides_nothing(size: int) -> None:
    """Threat, content: a loader runs what it gets before it comes to the sum."""
    data = pickled() + noise(1, size)
    bzipped = bytearray(bz2.compress(data))
    bzipped[10] ^= 1
    assert look(long_gzip(data, 0, crc=1))[0]
    assert look(zlib.compress(data)[:-1])[0]
    assert look(zlib.compress(data)[:-4] + b"\0\0\0\0")[0]
    assert size < 8192 or look(bytes(bzipped))[0]


@pytest.mark.parametrize("kind", ["gzip", "xz"])
def test_zeros_between_streams(kind: str) -> None:
    assert look(PACKINGS[kind](b"") + bytes(40_000) + PACKINGS[kind](pickled()))[0]


def test_frames_that_are_passed_over() -> None:
    frame = struct.pack("<LL", 0x184D2A53, 5) + b"hello"
    for kind in ("zstd", "lz4"):
        assert look(frame * 3 + PACKINGS[kind](pickled()))[0]
    assert look(frame) == ("", "")


@pytest.mark.parametrize("dictionary", [0, 123_456, 256 << 20, (1 << 32) - 1])
def test_dictionaries_of_any_length(dictionary: int) -> None:
    """Threat, content: a dictionary that is longer than what it is for."""
    alone = lzma.compress(pickled(), lzma.FORMAT_ALONE)
    stated = dictionary.to_bytes(4, "little")
    assert look(alone[:1] + stated + alone[5:])[0]
    member = bytearray(zipped({"x": pickled()}, zipfile.ZIP_LZMA))
    place = member.index(b"\x05\0\x5d") + 3
    member[place : place + 4] = stated
    assert look(bytes(member))[0]


def test_what_takes_too_much_memory_may_be_a_pickle() -> None:
    wide = {"id": lzma.FILTER_LZMA2, "dict_size": 256 << 20}
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    for data in (lzma.compress(b"text", filters=[wide]), packer.compress(b"text") + packer.flush()):
        assert "too much memory" in look(data)[0]
        assert "too much memory" in look(zipped({"x": data}))[0]


def test_a_member_that_breaks_is_not_known() -> None:
    data = bytearray(zipped({"a.txt": b"text, " * 9}))
    data[35] ^= 0xFF
    assert look(bytes(data)) == ("", "")


def test_what_readers_call_a_member() -> None:
    """Threat, content: Keras looks for a name that the directory does not state like that."""
    named = zipped({"config.jsonX": model(LAMBDA)}).replace(b"config.jsonX", b"config.json\0")
    assert inspect(Held(named), "m.keras").code
    data, item = io.BytesIO(), zipfile.ZipInfo("a")
    item.extra = struct.pack("<HHBL", 0x7075, 16, 1, zlib.crc32(b"a")) + b"config.json"
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(item, model(LAMBDA))
    assert inspect(Held(data.getvalue()), "m.keras").code


def test_a_stored_member_is_as_long_as_either_size() -> None:
    data = bytearray(zipped({"x": pickled()}, zipfile.ZIP_STORED))
    place = data.rindex(b"PK\x01\x02")
    data[place + 20 : place + 24] = (1).to_bytes(4, "little")
    assert look(bytes(data))[0]


def test_source_behind_white_space_in_an_archive() -> None:
    assert inspect(Held(zipped({"m.py": b"\n" * 20_000 + b"import os\n"})), "a.zip").program
