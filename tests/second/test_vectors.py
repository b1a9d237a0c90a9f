"""The second importer and the golden vectors: what is good gives the same bytes, what is bad the same code."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.second import chunk
from tests.second.codecs import erasure
from tests.second.codecs.decoding import decode
from tests.second.documents import bundle, release, volume
from tests.second.errors import Refused
from tests.second.trust import vendor

VECTORS = Path(__file__).parent.parent / "vectors"


def load(path: str) -> Any:
    return json.loads((VECTORS / path).read_text())


def outcome(call: Callable[[], object]) -> tuple[str, object]:
    try:
        return "ok", call()
    except Refused as refused:
        return refused.code, None


@pytest.mark.parametrize("name", ["good", "bad"])
def test_codec_vectors(name: str) -> None:
    for case in load(f"codec/{name}.json")["cases"]:
        sources = [base64.b64decode(source) for source in case["sources"]]
        payload = base64.b64decode(case["payload"])
        target = base64.b64decode(case["target"]) if "target" in case else None
        ended = outcome(lambda: decode(case["codec"], case["element"], case["length"], sources, payload))  # noqa: B023
        assert ended == (case["outcome"], target), case["name"]


def context() -> chunk.Context:
    """Return what the vectors of chunks are held against: the good bundle manifest."""
    good = json.loads(next(case["text"] for case in load("bundle/bundle.json") if case["name"] == "good"))
    return chunk.Context(
        1, [item["size"] for item in good["files"]], [item["size"] for item in good["bases"]]
    )


def test_vectors_of_the_parity_code() -> None:
    for case in load("erasure/good.json"):
        data, parity = ([bytes.fromhex(text) for text in case[kind]] for kind in ("data", "parity"))
        k, m, length = len(data), len(parity), max(map(len, data))
        assert erasure.encode(data, m) == parity, case["name"]
        members = {number: [*data, *parity][number] for number in case["present"]}
        found = erasure.decode(members, k, m, length)
        whole = [*found, *erasure.encode(found, m)]
        for number, text in case["wanted"].items():
            assert whole[int(number)].ljust(length, b"\0") == bytes.fromhex(text), case["name"]


PARSERS: dict[str, Callable[[bytes], object]] = {
    "bundle": bundle.parse,
    "chunk": lambda data: chunk.parse(data, context()),
    "release": release.parse,
    "revocations": release.parse_revocations,
    "sums": volume.parse_sums,
    "volume": volume.parse,
}


@pytest.mark.parametrize("kind", PARSERS)
def test_bundle_vectors(kind: str) -> None:
    for case in load(f"bundle/{kind}.json"):
        encoding = "latin-1" if kind == "chunk" else "utf-8"
        data = (
            base64.b64decode(case["base64"])
            if "base64" in case
            else case["text"].encode(encoding, "surrogatepass" if encoding == "utf-8" else "strict")
        )
        assert outcome(lambda: PARSERS[kind](data))[0] == case["outcome"], case["name"]  # noqa: B023


def test_vendor_vectors() -> None:
    for case in load("vendor/signatures.json"):
        ended = outcome(lambda: vendor.verify(case["signature"].encode(), case, case["digests"]))  # noqa: B023
        assert ended[0] == case["outcome"], case["name"]


def test_vectors_of_model_signing() -> None:
    folder = VECTORS / "model_signing"
    trusted = {"key": "signing-key-pub.pem", "certificate": "ca-cert.pem"}
    for case in load("model_signing/cases.json"):
        stated = {"method": case["method"], "trusted": [(folder / trusted[case["method"]]).read_text()]}
        data = (folder / f"{case['file']}.sig").read_bytes()
        ended = outcome(lambda: vendor.verify(data, stated, case["files"]))  # noqa: B023
        assert ended[0] == case["outcome"], case["file"]


HOLE: dict[str, object] = {"kind": "component", "digest": "c" * 128, "serial": 1}
THEFT: dict[str, object] = {"kind": "key", "digest": "d" * 64, "serial": 2}


@pytest.mark.parametrize(
    ("lifted", "ending"),
    [
        ([HOLE], "ok"),
        ([HOLE, HOLE | {"serial": 2}, THEFT], "ok"),
        ([], "malformed"),
        ({}, "malformed"),
        ([THEFT, HOLE], "malformed"),
        ([HOLE, HOLE], "malformed"),
        ([HOLE | {"serial": 0}], "malformed"),
        ([HOLE | {"kind": "person"}], "malformed"),
        ([HOLE | {"digest": "c" * 64}], "malformed"),
        ([HOLE | {"reason": "why"}], "malformed"),
        ([HOLE | {"serial": number} for number in range(1, 4098)], "malformed"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_root_lifts(lifted: object, ending: str) -> None:
    assert outcome(lambda: release.check_lifted(lifted))[0] == ending
