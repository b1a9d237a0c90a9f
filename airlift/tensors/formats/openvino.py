"""OpenVINO models: the text (``.xml``) says what the constants in the file beside it (``.bin``) are (SPEC T35).

::

    <layer name="w" type="Const"><data element_type="f32" shape="8, 3" offset="0" size="96"/></layer>

Source: https://docs.openvino.ai/2024/documentation/openvino-ir-format.html
"""

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from xml.parsers import expat  # entities and document types are refused, and the length is bounded

from airlift.errors import MalformedError
from airlift.tensors.element import Element
from airlift.tensors.layout import MAX_TENSORS, Layout, tensor
from airlift.tensors.region import Region
from airlift.tensors.span import TensorSpan

MAX_TEXT_BYTES = 64 << 20
PIECE_BYTES = 64 << 10
MAX_DEPTH = 64
MAX_DIGITS = 19
MAX_NAME = 4096

TYPES = {
    "f64": Element.F64,
    "f32": Element.F32,
    "f16": Element.F16,
    "bf16": Element.BF16,
    "f8e4m3": Element.F8_E4M3,
    "f8e5m2": Element.F8_E5M2,
    "f8e8m0": Element.F8_E8M0,
    "i64": Element.I64,
    "i32": Element.I32,
    "i16": Element.I16,
    "i8": Element.I8,
    "u64": Element.U64,
    "u32": Element.U32,
    "u16": Element.U16,
    "u8": Element.U8,
    "boolean": Element.BOOL,
}


def fits(name: str, head: bytes) -> bool:
    """Say whether a file may be one, by its name and how it starts."""
    return name.endswith(".xml") and b"<net" in head


def read(region: Region, name: str) -> Layout:
    """Return the constants of a model, all of them in the file that is called as ``name``, but for ``.bin``.

    Raises:
        MalformedError: it is no such text, or too long.
    """
    if region.size > MAX_TEXT_BYTES:
        raise MalformedError("an OpenVINO model is too long", expected=f"at most {MAX_TEXT_BYTES} bytes")
    text = _Text()
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = text.start, text.end
    parser.StartDoctypeDeclHandler = text.refuse
    try:
        for place in range(0, region.size, PIECE_BYTES):
            parser.Parse(region.read(place, min(PIECE_BYTES, region.size - place)), False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise MalformedError("an OpenVINO model is not XML", found=str(error)[:80]) from error
    beside = PurePosixPath(name).stem + ".bin"
    return Layout(elsewhere=tuple((beside, span) for span in text.found))


@dataclass(slots=True)
class _Text:
    """What is noted while the text goes by: how deep it is nested, the layer at hand, the constants found."""

    depth: int = 0
    layer: str | None = None
    found: list[TensorSpan] = field(default_factory=list)

    def refuse(self, *_words: object) -> None:
        raise MalformedError("an OpenVINO model has a document type")

    def start(self, tag: str, words: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH or len(self.found) > MAX_TENSORS:
            raise MalformedError("an OpenVINO model is nested too deeply, or has too many parts")
        if tag == "layer":
            self.layer = words.get("name", "")[:MAX_NAME] if words.get("type") == "Const" else None
        elif tag == "data" and self.layer is not None:
            self.constant(words)

    def end(self, tag: str) -> None:
        self.depth -= 1
        if tag == "layer":
            self.layer = None

    def constant(self, words: dict[str, str]) -> None:
        start, length = (_number(words.get(key, "")) for key in ("offset", "size"))
        shape = tuple(_number(word) for word in words.get("shape", "").split(",") if word.strip())
        element = TYPES.get(words.get("element_type", ""), Element.BYTES)
        self.found.append(tensor(self.layer or "", element, shape, start, length))


def _number(text: str) -> int:
    text = text.strip()
    if not text.isascii() or not text.isdigit() or len(text) > MAX_DIGITS:
        raise MalformedError("a number of an OpenVINO model is none", found=ascii(text[:40]))
    return int(text)
