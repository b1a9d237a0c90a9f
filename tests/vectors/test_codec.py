"""The golden vectors of the codecs: what was ever coded decodes for ever, and what was refused stays refused."""

import base64
import json
from typing import Any

import pytest
import zstandard

from airlift import codec
from airlift.errors import AirliftError
from airlift.tensors.element import Element
from tests.vectors.make_codec import FOLDER, documents

DOCUMENTS: dict[str, Any] = {
    path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))
}
CASES: list[dict[str, Any]] = [case for document in DOCUMENTS.values() for case in document["cases"]]
SAME_ZSTD = DOCUMENTS["good.json"]["zstd"] == ".".join(map(str, zstandard.ZSTD_VERSION))
RAW, EQUAL = 0, 1


def name(case: dict[str, Any]) -> str:
    return str(case["name"])


def read(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def sources(case: dict[str, Any]) -> list[bytes]:
    return [read(source) for source in case["sources"]]


def outcome(case: dict[str, Any]) -> tuple[str, bytes | None]:
    try:
        target = codec.decode(
            case["codec"], read(case["payload"]), sources(case), case["length"], case["element"]
        )
    except AirliftError as error:
        return error.code, None
    return "ok", bytes(target)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_a_block_decodes_to_what_was_recorded(case: dict[str, Any]) -> None:
    expected = read(case["target"]) if case["outcome"] == "ok" else None
    assert outcome(case) == (case["outcome"], expected)


@pytest.mark.parametrize("case", [case for case in CASES if "encode" in case], ids=name)
def test_the_encoder_still_chooses_the_same(case: dict[str, Any]) -> None:
    coded = codec.encode(read(case["target"]), sources(case), Element(case["element"]))
    assert coded.codec == case["codec"]
    if SAME_ZSTD or coded.codec in {RAW, EQUAL}:
        assert coded.payload == read(case["payload"])


def test_the_generator_writes_these_files() -> None:
    generated = documents()
    if SAME_ZSTD:
        assert generated == DOCUMENTS
    for file, document in generated.items():
        assert [name(case) for case in document["cases"]] == [name(case) for case in DOCUMENTS[file]["cases"]]
