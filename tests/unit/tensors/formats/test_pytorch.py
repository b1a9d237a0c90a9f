"""PyTorch checkpoints: what a pickle tells of storages, without being loaded."""

import io
import pickletools
import struct

import pytest

from airlift.tensors.element import Element
from airlift.tensors.formats import archive, pytorch
from airlift.tensors.formats.pytorch import Told, describe
from airlift.tensors.region import of_bytes
from tests.support import container_files
from tests.support.container_files import golden


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(kind: str = "FloatStorage", key: str = "0", count: int = 6) -> bytes:
    return (
        b"("
        + text("storage")
        + f"ctorch\n{kind}\n".encode()
        + text(key)
        + text("cpu")
        + number(count)
        + b"tQ"
    )


def tensor(
    held: bytes, shape: tuple[int, ...] = (2, 3), strides: tuple[int, ...] = (3, 1), offset: int = 0
) -> bytes:
    parts = held + number(offset) + numbers(*shape) + numbers(*strides) + b"\x89N"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + parts + b"tR"


def pickle(*items: tuple[str, bytes]) -> bytes:
    return b"\x80\2}(" + b"".join(text(name) + value for name, value in items) + b"u."


def told(*items: tuple[str, bytes]) -> dict[str, Told]:
    data = pickle(*items)
    pickletools.dis(data, out=io.StringIO())  # it is a pickle
    return describe(of_bytes(data))


def test_a_tensor_that_fills_its_storage_has_its_name_and_shape() -> None:
    assert told(("w", tensor(storage()))) == {"0": Told(Element.F32, "w", (2, 3))}


@pytest.mark.parametrize(("kind", "element"), list(pytorch.STORAGES.items()))
def test_every_storage_is_known(kind: str, element: Element) -> None:
    assert told(("w", tensor(storage(kind.removeprefix("torch ")))))["0"].element is element


def test_a_storage_of_an_unknown_kind_is_not_told_of() -> None:
    assert told(("w", tensor(storage("OtherStorage")))) == {}


@pytest.mark.parametrize(
    ("shape", "strides", "expected"),
    [
        ((3, 2), (1, 3), (2, 3)),
        ((2, 1, 3), (3, 99, 1), (2, 1, 3)),
        ((6,), (1,), (6,)),
        ((1, 6), (1, 1), (1, 6)),
        ((2, 3), (4, 1), ()),
        ((2, 2), (2, 1), ()),
        ((2, 3), (0, 1), ()),
        ((2, 3), (3,), ()),
        ((1,) * 33, (1,) * 33, ()),
    ],
)
def test_the_shape_is_that_of_memory(
    shape: tuple[int, ...], strides: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert told(("w", tensor(storage(), shape, strides)))["0"].shape == expected


def test_a_part_of_a_storage_tells_the_element_alone() -> None:
    assert told(("w", tensor(storage(), (1, 3), (3, 1), 3))) == {"0": Told(Element.F32)}


def test_names_lead_from_the_root() -> None:
    inner = b"}(" + text("_parameters") + b"}(" + text("bias") + tensor(storage(key="1"), (6,), (1,)) + b"uu"
    assert told(("net", inner), ("list", b"](" + tensor(storage(key="2")) + b"e")) == {
        "1": Told(Element.F32, "net.bias", (6,)),
        "2": Told(Element.F32, "list.0", (2, 3)),
    }


def test_objects_parameters_and_what_was_put_aside_are_followed() -> None:
    parameter = b"ctorch._utils\n_rebuild_parameter\n(" + tensor(storage()) + b"\x88N" + b"tR"
    made = b"c__torch__\nNet\n)\x81}" + text("weight") + parameter + b"sb"
    ordered = b"ccollections\nOrderedDict\n)R" + text("k") + b"h\1s"
    data = b"\x80\2}(" + text("net") + made + b"q\1" + text("again") + ordered + b"u."
    assert describe(of_bytes(data)) == {"0": Told(Element.F32, "net.weight", (2, 3))}


def test_a_dtype_tells_of_a_storage_without_one() -> None:
    held = (
        b"("
        + text("storage")
        + b"ctorch.storage\nUntypedStorage\n"
        + text("0")
        + text("cpu")
        + number(6)
        + b"tQ"
    )
    parts = held + number(0) + numbers(2, 3) + numbers(3, 1) + b"\x89Nctorch\nfloat8_e4m3fn\n"
    made = b"ctorch._utils\n_rebuild_tensor_v3\n(" + parts + b"tR"
    assert told(("w", made)) == {"0": Told(Element.F8_E4M3, "w", (2, 3))}


WHOLE = {"0": Told(Element.F32, "w", (2, 3))}


@pytest.mark.parametrize(
    "made",
    [
        b"(" + text("w") + tensor(storage()) + b"d",
        b"}" + text("w") + tensor(storage()) + b"s",
        b"K\1\x94" + b"0(K\1K\2" + b"1}" + text("w") + tensor(storage()) + b"s",
        b"cx\ny\n)}\x92}" + text("w") + tensor(storage()) + b"sb",
        b"K\1" + b"}" + text("w") + tensor(storage()) + b"sb0}" + text("w") + tensor(storage()) + b"s",
    ],
)
def test_other_ways_to_say_the_same(made: bytes) -> None:
    assert describe(of_bytes(b"\x80\4" + made + b".")) == WHOLE


def test_lists_and_sets_have_numbers_for_names() -> None:
    one, two = tensor(storage(key="1")), tensor(storage(key="2"))
    for made in (b"(" + one + two + b"l", b"(" + one + two + b"\x91", b"]" + one + b"a" + two + b"a"):
        names = [found.name for found in describe(of_bytes(b"\x80\4" + made + b".")).values()]
        assert names == ["0", "1"]


@pytest.mark.parametrize(
    "held",
    [
        b"K\1Q",
        b"(" + text("module") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + number(6) + b"tQ",
        b"(" + text("storage") + text("FloatStorage") + text("0") + text("cpu") + number(6) + b"tQ",
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + number(0) + text("cpu") + number(6) + b"tQ",
        b"P0\n",
    ],
)
def test_another_identity_is_no_storage(held: bytes) -> None:
    assert told(("w", tensor(held))) == {}


def test_values_are_put_into_what_has_parts_alone() -> None:
    for made in (b"K\1(K\2e", b"K\1K\2a", b"K\1" + text("w") + b"K\2s", b"K\1(K\2K\2u", b"K\1}b"):
        assert describe(of_bytes(b"\x80\4" + made + b".")) == {}


LOOP = b"\x80\2}q\0" + text("me") + b"h\0s" + text("w") + tensor(storage()) + b"s."
STACKED = b"\x80\4}\x94" + text("w") + text("torch") + text("FloatStorage") + b"\x93s."


def test_loops_end() -> None:
    assert describe(of_bytes(LOOP))["0"].name == "w"
    assert describe(of_bytes(STACKED)) == {}


def nested(levels: int) -> bytes:
    inner = tensor(storage())
    for _ in range(levels):
        inner = b"}" + text("x") + inner + b"s"
    return b"\x80\2" + inner + b"."


def test_depth_is_bounded() -> None:
    assert describe(of_bytes(nested(pytorch.MAX_DEPTH)))
    assert describe(of_bytes(nested(pytorch.MAX_DEPTH + 1))) == {}


def test_nothing_that_doubles_is_copied() -> None:
    """Threat: a pickle of a few hundred bytes that stands for more than fits in memory."""
    bomb = b"\x80\2]q\0" + b"(h\0h\0e" * 40 + b"h\0b" * 60
    assert describe(of_bytes(bomb + b".")) == {}
    doubled = (
        b"\x80\2K\1" + b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(200)) + b"."
    )
    assert describe(of_bytes(doubled)) == {}


BAD = {
    "nothing": b"",
    "no end": pickle(("w", tensor(storage())))[:-1],
    "an empty stack": b"\x80\2R.",
    "no mark": b"\x80\2t.",
    "an unknown opcode": b"\xff.",
    "an opcode that PyTorch does not write": b"\x80\2\x82\1.",
    "an object of the first protocol": b"(ios\nsystem\n.",
    "a name with an odd escape": b"\x80\2ctorch\n\\c\n.",
    "a name of two numbers": b"\x80\4K\1K\2\x93.",
}


@pytest.mark.parametrize("why", BAD)
def test_what_cannot_be_followed_tells_nothing(why: str) -> None:
    assert describe(of_bytes(BAD[why])) == {}


def test_pickles_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pickle(("w", tensor(storage())))
    monkeypatch.setattr(pytorch, "MAX_OPCODES", 5)
    assert describe(of_bytes(data)) == {}
    monkeypatch.setattr(pytorch, "MAX_PICKLE_BYTES", 5)
    assert describe(of_bytes(data)) == {}


def read(members: dict[str, bytes]) -> list[tuple[str, Element, tuple[int, ...]]]:
    found = archive.read(of_bytes(container_files.archive(members))).tensors
    return [(span.name, span.element, span.shape) for span in found]


HELD = {"m/data.pkl": pickle(("w", tensor(storage()))), "m/data/0": bytes(24), "m/data/1": bytes(8)}
UNTYPED = [("m/data/0", Element.BYTES, (24,)), ("m/data/1", Element.BYTES, (8,))]


def test_storages_in_an_archive_are_tensors_or_bytes_by_the_name_of_their_member() -> None:
    assert read(HELD) == [("w", Element.F32, (2, 3)), UNTYPED[1]]
    assert read(HELD | {"m/byteorder": b"little"}) == [("w", Element.F32, (2, 3)), UNTYPED[1]]
    assert read(HELD | {"m/byteorder": b"big"}) == UNTYPED
    assert read(HELD | {"m/data.pkl": b"."}) == UNTYPED


def test_a_storage_of_another_length_than_it_is_said_to_have_is_numbers_or_bytes() -> None:
    assert read(HELD | {"m/data/0": bytes(28)})[0] == ("m/data/0", Element.F32, (7,))
    assert read(HELD | {"m/data/0": bytes(27)})[0] == ("m/data/0", Element.BYTES, (27,))


def test_an_archive_without_a_folder_is_read_too() -> None:
    assert read({"data.pkl": HELD["m/data.pkl"], "data/0": bytes(24)}) == [("w", Element.F32, (2, 3))]


def test_constants_of_a_script_are_storages() -> None:
    assert [span.name for span in archive.read(of_bytes(golden("script.jit"))).tensors] == [
        "conv.weight",
        "conv.bias",
    ]
