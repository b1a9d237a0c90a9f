"""OpenVINO models: the text tells of the numbers beside it; nothing else of XML is taken."""

import pytest

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.formats import openvino as parser
from airlift.tensors.region import of_bytes
from airlift.tensors.span import TensorSpan
from tests.support.container_files import openvino_text

W = 'element_type="f32" shape="2, 3" offset="8" size="24"'


def read(data: bytes) -> tuple[tuple[str, TensorSpan], ...]:
    found = parser.read(of_bytes(data), "sub/model.xml")
    assert found.tensors == ()
    return found.elsewhere


def test_constants_lie_in_the_file_of_the_same_name() -> None:
    assert read(openvino_text(W, 'element_type="i8" shape="" offset="0" size="1"')) == (
        ("model.bin", TensorSpan("w0", Element.F32, (2, 3), 8, 32)),
        ("model.bin", TensorSpan("w1", Element.I8, (), 0, 1)),
    )


@pytest.mark.parametrize(("kind", "element"), list(parser.TYPES.items()))
def test_every_type_is_known(kind: str, element: Element) -> None:
    text = f'element_type="{kind}" shape="4" offset="0" size="{4 * element.size}"'
    assert read(openvino_text(text))[0][1].element is element


@pytest.mark.parametrize("kind", ["u4", "nf4", "string", ""])
def test_other_types_are_bytes(kind: str) -> None:
    assert (
        read(openvino_text(f'element_type="{kind}" shape="8" offset="0" size="4"'))[0][1].element
        is Element.BYTES
    )


def test_layers_that_are_no_constants_are_passed_over() -> None:
    data = openvino_text(W).replace(b'type="Const"', b'type="Result"')
    assert read(data) == ()
    outside = openvino_text(W).replace(b"</layers>", f"</layers><data {W}/>".encode())
    assert len(read(outside)) == 1


def test_long_texts_are_read_in_pieces() -> None:
    assert len(read(openvino_text(*[W] * 3000))) == 3000


def changed(old: str, new: str) -> bytes:
    return openvino_text(W).replace(old.encode(), new.encode())


BAD = {
    "nothing": b"",
    "no XML": b"<net",
    "cut": openvino_text(W)[:-3],
    "a document type": changed("<net ", "<!DOCTYPE net><net "),
    "an entity": changed("<net ", '<!DOCTYPE net [<!ENTITY a "aaaa">]><net '),
    "a negative offset": changed('offset="8"', 'offset="-8"'),
    "a size of letters": changed('size="24"', 'size="all"'),
    "no size": changed(' size="24"', ""),
    "a huge size": changed('size="24"', f'size="{10**19}"'),
    "a dimension that is unknown": changed("2, 3", "2, ?"),
    "digits of another script": changed("2, 3", "2, \u0663"),
    "33 dimensions": changed("2, 3", "1," * 33),
    "nested deeply": changed("<layers>", "<layers>" * 70).replace(b"</layers>", b"</layers>" * 70),
}


@pytest.mark.parametrize("why", BAD)
def test_malformed_texts_are_refused(why: str) -> None:
    with pytest.raises(MalformedError):
        read(BAD[why])


def test_texts_and_constants_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "MAX_TENSORS", 2)
    with pytest.raises(MalformedError, match="too many"):
        read(openvino_text(*[W] * 4))
    monkeypatch.setattr(parser, "MAX_TEXT_BYTES", 50)
    with pytest.raises(MalformedError, match="too long"):
        read(openvino_text(W))


def test_a_text_is_known_by_name_and_start() -> None:
    assert parser.fits("a.xml", openvino_text(W))
    assert not parser.fits("a.txt", openvino_text(W))
    assert not parser.fits("a.xml", b"<html>")
