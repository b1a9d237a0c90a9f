"""Element codes are stored in bundles: they never change."""

import pytest

from airlift.errors import FormatTooNewError
from airlift.tensors.element import SAFETENSORS_BITS, Element, from_code, from_safetensors
from tests.support.tensor_files import load, safetensors

CODES = {
    "BYTES": (0, 1),
    "BOOL": (1, 1),
    "U8": (2, 1),
    "I8": (3, 1),
    "F8_E4M3": (4, 1),
    "F8_E5M2": (5, 1),
    "F8_E8M0": (6, 1),
    "U16": (7, 2),
    "I16": (8, 2),
    "F16": (9, 2),
    "BF16": (10, 2),
    "U32": (11, 4),
    "I32": (12, 4),
    "F32": (13, 4),
    "U64": (14, 8),
    "I64": (15, 8),
    "F64": (16, 8),
    "C64": (17, 8),
    "F8_E4M3FNUZ": (18, 1),
    "F8_E5M2FNUZ": (19, 1),
    "Q4_0": (32, 18),
    "Q4_1": (33, 20),
    "Q5_0": (34, 22),
    "Q5_1": (35, 24),
    "Q8_0": (36, 34),
    "Q2_K": (37, 84),
    "Q3_K": (38, 110),
    "Q4_K": (39, 144),
    "Q5_K": (40, 176),
    "Q6_K": (41, 210),
    "Q8_K": (42, 292),
    "IQ1_S": (43, 50),
    "IQ1_M": (44, 56),
    "IQ2_XXS": (45, 66),
    "IQ2_XS": (46, 74),
    "IQ2_S": (47, 82),
    "IQ3_XXS": (48, 98),
    "IQ3_S": (49, 110),
    "IQ4_NL": (50, 18),
    "IQ4_XS": (51, 136),
    "TQ1_0": (52, 54),
    "TQ2_0": (53, 66),
    "MXFP4": (54, 17),
    "NVFP4": (55, 36),
    "Q1_0": (56, 18),
}


def test_codes_and_sizes_are_those_of_the_specification() -> None:
    assert {element.name: (element.value, element.size) for element in Element} == CODES


def test_a_code_comes_back_as_its_element() -> None:
    assert [from_code(code) for code, _ in CODES.values()] == list(Element)


@pytest.mark.parametrize("element", Element)
def test_the_fields_of_an_element_are_all_of_it(element: Element) -> None:
    assert sum(element.fields) == element.size
    assert element.record == (element.value >= 32)
    assert element.record or set(element.fields) == {1}


@pytest.mark.parametrize("code", [-1, 20, 31, 57, 255])
def test_an_unknown_code_is_too_new(code: int) -> None:
    with pytest.raises(FormatTooNewError):
        from_code(code)


@pytest.mark.parametrize("dtype", ["F4", "F6_E2M3", "F6_E3M2", "Q9", "Q8_0", "BYTES", ""])
def test_what_has_no_element_is_bytes(dtype: str) -> None:
    assert from_safetensors(dtype) is Element.BYTES


@pytest.mark.parametrize("dtype", sorted(SAFETENSORS_BITS))
def test_the_safetensors_library_gives_each_dtype_the_same_size(dtype: str) -> None:
    length = SAFETENSORS_BITS[dtype]  # eight elements
    ((name, tensor),) = load(safetensors({"t": (dtype, [8], [0, length])}, bytes(length)))
    assert (name, tensor["dtype"], len(tensor["data"])) == ("t", dtype, length)
