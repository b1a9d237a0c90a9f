"""The golden vectors of the transfer format: they are what the generator makes, and end as they say."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from airlift.bundle import chunk, manifest, release, revocations, volume
from airlift.errors import AirliftError
from tests.support.bundle_values import BUNDLE
from tests.vectors.make_bundle import FOLDER, MAKERS, OK, made, to_bytes

Parse = Callable[[bytes], Any]
PAIRS: dict[str, tuple[Parse, Callable[[Any], bytes]]] = {
    "release": (release.parse, release.format),
    "bundle": (manifest.parse, manifest.format),
    "revocations": (revocations.parse, revocations.format),
    "volume": (volume.parse_index, volume.format_index),
    "sums": (volume.parse_sums, volume.format_sums),
    "chunk": (lambda data: chunk.parse(data, BUNDLE), chunk.format),
}


def cases(kind: str) -> list[dict[str, str]]:
    result: list[dict[str, str]] = json.loads((FOLDER / f"{kind}.json").read_text("ascii"))
    return result


ALL = [
    pytest.param(kind, case, id=f"{kind}: {case['name']}"[:100].replace("::", ": :"))
    for kind in MAKERS
    for case in cases(kind)
]


@pytest.mark.parametrize(("kind", "case"), ALL)
def test_a_vector_ends_as_it_says(kind: str, case: dict[str, str]) -> None:
    parse, write = PAIRS[kind]
    data = to_bytes(case)
    if case["outcome"] == OK:
        assert write(parse(data)) == data
        return
    with pytest.raises(AirliftError) as caught:
        parse(data)
    assert caught.value.code == case["outcome"]


def test_the_generator_makes_the_same_files() -> None:
    found = {path.name: path.read_text("ascii") for path in FOLDER.iterdir()}
    assert found == made()
