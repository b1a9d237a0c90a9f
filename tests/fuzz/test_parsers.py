"""Every parser and decoder, fed with damaged inputs: what is not refused is right in length, time and memory.

Each target has its share of FUZZ_SECONDS, in a process of its own, so that memory is its own too.
"""

import json
import math
import os
import random
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airlift import codec, verify
from airlift.bundle import chunk
from airlift.bundle.chunk import Block, Source
from airlift.bundle.returns import code, receipt, request, typed_lines
from airlift.bundle.returns.code import ReceiptCode, RequestCode
from airlift.bundle.returns.receipt import Receipt
from airlift.bundle.returns.request import Request
from airlift.bundle.returns.stated_ledger import StatedLedger
from airlift.codec.block import Context, Effort
from airlift.codec.decoding import CODECS
from airlift.codec.grid.grid import GRID
from airlift.codec.predict.convert import CONVERT
from airlift.codec.predict.narrow import NARROW
from airlift.errors import AirliftError, FormatTooNewError, MalformedError
from airlift.ledger.answers import answer_proof
from airlift.low.depot import enclaves
from airlift.low.depot.depot import Depot
from airlift.low.depot.enclaves import Acknowledged, EnclaveRecord, Newest, Word
from airlift.tensors.element import Element
from airlift.tensors.formats import (
    archive,
    coreml,
    ctranslate2,
    fasttext,
    gguf,
    npy,
    onnx,
    openvino,
    pytorch,
    safetensors,
    tflite,
    whisper,
)
from airlift.tensors.layout import Layout, distinct
from airlift.tensors.matching.hint import Adapter, Conversion, Grid, Hint, LowRank, Rule, ScalesFrom
from airlift.tensors.region import Region, of_bytes
from airlift.tensors.span import tile
from airlift.trust.statements import dsse, statement
from airlift.trust.statements import model_signing as vendor_signatures
from airlift.trust.statements.predicates import SLSA, own_type
from airlift.trust.statements.statement import attest
from tests.fuzz import corpus, drift_files, gate_files, shard_files
from tests.fuzz.conftest import Recorder
from tests.fuzz.mutate import Case, Parts, run
from tests.support import container_files as made
from tests.support import gguf_files, keys, quantisers, vendor, weights
from tests.support.bundle_values import BUNDLE, TARGET, content
from tests.support.ledgers import make_log, opened
from tests.support.merges import merge
from tests.support.tensors import weights as numbers
from tests.unit.codec.predict.test_narrow import wide

ROOT = Path(__file__).resolve().parents[2]
SLOWEST = 5.0
"""CPU seconds for one input: machines differ, and a hang takes longer."""
GROWN = 512 << 20
ELEMENTS = (
    Element.BYTES,
    Element.I8,
    Element.BF16,
    Element.F16,
    Element.F32,
    Element.F64,
    Element.Q4_0,
    Element.Q6_K,
)


# -- codecs --------------------------------------------------------------------------------------------------------


def decode(number: int, element: Element, length: int, parts: Parts, random_: random.Random) -> None:
    payload, *sources = parts
    if random_.random() < 0.1:
        length = random_.choice(
            [0, 1, length - 1, length + 1, 2 * length, codec.MAX_LENGTH, codec.MAX_LENGTH + 1]
        )
    if random_.random() < 0.05:
        element, sources = random_.choice(list(Element)), sources[: random_.randrange(4)]
    try:
        found = codec.decode(number, payload, sources, length, element)
    except AirliftError as error:
        assert type(error) in {MalformedError, FormatTooNewError}  # noqa: PT017 - either is right
        raise
    assert len(found) == length


def coded(
    number: int, target: bytes, sources: list[bytes], element: Element, hint: Hint = None
) -> Iterator[Case]:
    """Yield what a codec makes of a block with each effort, if it can code it."""
    context = Context([memoryview(source) for source in sources], element, hint=hint)
    for effort in Effort:
        payload = CODECS[number].encode(memoryview(target), context, effort)
        if payload is not None and len(payload) <= len(target):
            yield Case(partial(decode, number, element, len(target)), (bytes(payload), *sources))


def plain(number: int) -> Iterator[Case]:
    for element in ELEMENTS:
        for step in (0.001, 0.1):
            yield from coded(number, numbers(element, step=step), [numbers(element)], element)
        yield from coded(number, numbers(element), [], element)
    text = b"a line of text, again and again\n" * 40
    yield from coded(number, text + b"end", [text], Element.BYTES)


def predicted(number: int) -> Iterator[Case]:
    for element in (Element.BF16, Element.F16, Element.F32):
        for transposed in (False, True):
            made = merge(48, 64, 2, element=element, transposed=transposed)
            hint: Hint = LowRank(64)
            if CODECS[number].name == "adapter":
                hint = Adapter(
                    left=Element.F32, right=Element.F32, columns=64, rank=2, scale=1.9,
                    left_transposed=transposed, right_transposed=transposed,
                )  # fmt: skip
            yield from coded(number, made.target, [made.base, made.b, made.a], element, hint)


def narrowed(number: int) -> Iterator[Case]:
    for kind, element in (
        (Element.BF16, Element.F32),
        (Element.F16, Element.F32),
        (Element.F32, Element.F64),
    ):
        old, new = (
            wide(np.frombuffer(numbers(kind, step=step), f"<u{kind.size}"), kind) for step in (0, 0.01)
        )
        yield from coded(number, new, [old], element)


def dequantised() -> Iterator[Case]:
    """Yield blocks of every kind of steps, sources and scales."""
    rng = np.random.default_rng(5)
    steps, by = rng.integers(-7, 8, (64, 64)), np.linspace(0.01, 0.02, 64, dtype="<f4")[:, None]
    single, small = (steps * by).astype("<f4"), Grid(columns=64, group=(1, 0), steps=Element.I8)
    values = quantisers.floats(quantisers.model(64, 64))
    records = quantisers.q8_0(values)
    parts = np.frombuffer(records, np.uint8).reshape(-1, 34)
    of_records = parts[:, :2].copy().view("<f2").astype("<f4") * parts[:, 2:].view("i1")
    largest: dict[str, Any] = {"source": Element.F32, "scales_from": ScalesFrom.LARGEST, "limit": 7.0}
    given: dict[str, Any] = {"source": Element.I8, "scales_from": ScalesFrom.SOURCE}
    words = quantisers.packed(steps.astype("i1"))
    narrow: dict[str, Any] = {"scale": Element.BF16, "narrow": True}
    ranged = largest | {"scales_from": ScalesFrom.RANGE, "limit": 15.0}
    whole, scales = quantisers.shifted(values, (1, 0), 15)
    shifted = whole * scales
    for element, target, sources, hint in (
        (Element.F32, single, [], small),
        (Element.BF16, quantisers.brains(single), [], replace(small, group=(16, 16))),
        (Element.F16, (steps * np.float32(0.5)).astype("<f2"), [], replace(small, group=(0, 0))),
        (Element.F32, single, [steps.astype("i1").tobytes()], replace(small, source=Element.I8)),
        (Element.F32, single, [steps.astype("i1").tobytes(), by.tobytes()], replace(small, **given)),
        (Element.F32, single, [words, by.tobytes()], replace(small, **given | {"source": Element.I32})),
        (Element.F32, single, [single.tobytes()], replace(small, **largest)),
        (Element.BF16, quantisers.brains(single), [single.tobytes()], replace(small, **largest | narrow)),
        (Element.F32, shifted, [values.tobytes()], replace(small, **ranged)),
        (
            Element.F32,
            of_records,
            [records],
            Grid(columns=64, group=(1, 32), steps=Element.I8, source=Element.Q8_0, scales_from=ScalesFrom.SOURCE,
                 scale=Element.F16),
        ),
    ):  # fmt: skip
        yield from coded(GRID.id, target.tobytes(), sources, element, hint)


def conversions(number: int) -> Iterator[Case]:
    """Yield blocks of every rule, right and nearly right."""
    matrix = quantisers.model(64, 64)
    source, values = matrix.tobytes(), quantisers.floats(matrix)
    rule: dict[str, Any] = {"source": Element.BF16, "columns": 64}
    most: dict[str, Any] = {
        "scales_from": ScalesFrom.LARGEST,
        "work": Element.BF16,
        "group": (16, 16),
        "limit": 448.0,
    }
    fp8, scales = quantisers.compressed_tensors(matrix)
    given: dict[str, Any] = {
        "scales_from": ScalesFrom.SOURCE,
        "scale": Element.BF16,
        "work": Element.BF16,
        "group": (1, 0),
    }
    stored = given | {"scales_from": ScalesFrom.PAYLOAD, "scales": scales}
    for element, target, more in (
        (Element.F8_E4M3, fp8, given | {"rule": Rule.SCALE}),
        (Element.F8_E4M3, fp8, stored | {"rule": Rule.SCALE}),
        (Element.F8_E5M2, fp8, most | {"rule": Rule.SCALE, "multiply": True}),
        (Element.I8, fp8, most | {"rule": Rule.SCALE}),
        (Element.Q8_0, quantisers.q8_0(values), {"rule": Rule.GGML, "head": 32}),
        (Element.Q4_0, quantisers.q4_0(values), {"rule": Rule.GGML}),
        (Element.F32, values.tobytes(), {"rule": Rule.CAST}),
        (Element.F32, bytes(64), {"rule": Rule.SCALES, **most, "scales_from": ScalesFrom.NOWHERE}),
    ):
        yield from coded(number, target, [source, scales], element, Conversion(**rule, **more))


# -- bundles and files ---------------------------------------------------------------------------------------------


MADE = replace(
    BUNDLE,
    files=(content("a", 4096), content("b", 40 << 20)),
    bases=(content("c", 5000), content("d", 40 << 20)),
)


def chunks() -> Iterator[Case]:
    built = Source(chunk.BUILT, 0, 4096)
    blocks = [
        Block(0, 0, 4096, 0, 0, (), bytes(4096)),
        Block(1, 0, 40 << 20, 1, 10, (Source(1, 0, 40 << 20),), b""),
    ]
    yield Case(parse_chunk, (chunk.format(blocks),))
    yield Case(
        parse_chunk, (chunk.format([Block(1, 0, 99, 6, 10, (Source(0, 7, 99), built, built), b"payload")]),)
    )
    several = [Block(0, n, 8, n % 7, n % 57, (Source(0, n, 9),) * (n % 5), b"payload"[:n]) for n in range(8)]
    yield Case(parse_chunk, (chunk.format(several),))
    yield Case(parse_packed, (b"".join(chunk.pack_table(tuple(chunk.format_parts(several)))),))


def parse_packed(parts: Parts, random: random.Random) -> None:
    blocks = chunk.parse(parts[0], replace(MADE, packed=True))
    parse_chunk((chunk.format(blocks),), random)


def parse_chunk(parts: Parts, _random: random.Random) -> None:
    blocks = chunk.parse(parts[0], MADE)
    assert chunk.format(blocks) == parts[0]
    for block in blocks:
        assert block.start + block.length <= MADE.files[block.file].size
        assert sum(piece.length for piece in chunk.pieces(block)) == block.length
    try:
        list(chunk.in_order(blocks, MADE.files))
    except MalformedError:
        return


def headers() -> Iterator[Case]:
    tensors = {name: ("BF16", (4, n), bytes(8 * n)) for n, name in enumerate(("a", "b.é", "c"), 1)}
    for file in (
        weights.safetensors(tensors),
        weights.safetensors({}),
        weights.weights(1, rows=2, columns=2),
    ):
        length = int.from_bytes(file[:8], "little")
        yield Case(partial(parse_safetensors, len(file)), (file[8 : 8 + length],))


def parse_safetensors(size: int, parts: Parts, _random: random.Random) -> None:
    whole = size if len(parts[0]) % 8 else len(parts[0]) + 8
    for length in (size, whole):
        try:
            found = safetensors.parse_header(parts[0], length)
        except MalformedError:
            continue
        assert sum(span.length for span in tile(found, length)) == length
        return
    raise MalformedError("refused at any size")


def ggufs() -> Iterator[Case]:
    values = np.random.default_rng(1).normal(0, 1, 512).astype(np.float32)
    tensors = [
        gguf_files.Tensor("w", (256, 2), gguf_files.Q8_0, gguf_files.q8_0(values)),
        gguf_files.Tensor("b", (512,), gguf_files.F32, values.tobytes()),
        gguf_files.Tensor("unknown", (3,), 99, bytes(64)),
        gguf_files.Tensor("removed", (64, 2), 31, bytes(72)),
        gguf_files.Tensor("empty", (64, 0), 2, b""),
    ]
    pairs = [
        gguf_files.number("general.alignment", 64),
        gguf_files.array("tokens", gguf_files.STRING, 3, gguf_files.string("x") * 3),
        gguf_files.array("scores", 6, 4, bytes(16)),
        gguf_files.array(
            "nested", 9, 2, 2 * (struct.pack("<IQ", 9, 1) + struct.pack("<IQ", 4, 2) + bytes(8))
        ),
        gguf_files.number("split.no", 1),
        gguf_files.number("split.count", 3),
    ]
    yield Case(parse_gguf, (gguf_files.gguf(tensors, pairs, alignment=64),))
    yield Case(parse_gguf, (gguf_files.gguf(),))


def parse_gguf(parts: Parts, _random: random.Random) -> None:
    data = parts[0]
    assert sum(span.length for span in tile(gguf.parse_header(data, len(data)), len(data))) == len(data)


CONTAINERS: dict[str, tuple[Callable[[Region], Layout], tuple[bytes, ...]]] = {
    "onnx": (
        onnx.read,
        (
            made.golden("model.onnx"),
            made.golden("outside.onnx"),
            made.onnx(made.onnx_tensor("w", 1, (2, 3), bytes(24)), made.external("x", 1, (4,), location="w")),
        ),
    ),
    "tflite": (tflite.read, (made.golden("model.tflite"),)),
    "npy": (npy.read, (made.npy(np.ones((2, 3), "f4")), made.npy(np.asfortranarray(np.ones((2, 3), "f2"))))),
    "archive": (
        archive.read,
        (
            made.golden("checkpoint.pt"),
            made.golden("script.jit"),
            made.archive({"a.npy": made.npy(np.ones(4)), "m.onnx": made.golden("model.onnx"), "x": b"text"}),
        ),
    ),
    "openvino": (lambda region: openvino.read(region, "m.xml"), (made.golden("openvino.xml"),)),
    "ctranslate2": (ctranslate2.read, (made.golden("ctranslate2/model.bin"),)),
    "fasttext": (fasttext.read, (made.golden("fasttext.bin"), made.golden("fasttext.ftz"))),
    "whisper": (
        whisper.read,
        (
            made.speech(
                made.ggml_tensor("w", 0, (3, 2), bytes(24)), made.ggml_tensor("q", 8, (32,), bytes(34))
            ),
            made.detector(made.ggml_tensor("w", 1, (3, 2), bytes(12))),
        ),
    ),
    "coreml": (coreml.read, (made.golden("weight.bin"), made.coreml_weights((1, bytes(6)), (8, b"abc")))),
}


def containers(name: str) -> Iterator[Case]:
    read, files = CONTAINERS[name]
    for file in files:
        yield Case(partial(parse_container, read), (file,))


def parse_container(read: Callable[[Region], Layout], parts: Parts, _random: random.Random) -> None:
    data = parts[0]
    found = read(of_bytes(data))
    tiled = tile(distinct(found.tensors), len(data))
    assert sum(span.length for span in tiled) == len(data)
    for span in (*tiled, *(span for _, span in found.elsewhere)):
        assert span.opaque or span.length == math.prod(span.shape) * span.element.size


def checkpoints() -> Iterator[Case]:
    for name in ("checkpoint.pt", "script.jit"):
        region = of_bytes(made.golden(name))
        for member in archive.members(region):
            if member.name.endswith("data.pkl"):
                yield Case(parse_pickle, (region.read(member.start, member.size),))


def parse_pickle(parts: Parts, _random: random.Random) -> None:
    told = pytorch.describe(of_bytes(parts[0]))
    if not told:
        raise MalformedError("it tells of nothing")
    for key, found in told.items():
        span = pytorch.span(found, f"data/{key}", 0, 24)
        assert span.length == 24
        assert span.length == math.prod(span.shape) * span.element.size


# -- what others state ---------------------------------------------------------------------------------------------


def attestations() -> Iterator[Case]:
    signer = keys.signer("fuzz", "ecdsa-p384")
    for kind, predicate in (
        (SLSA, {"x": [0.5, None]}),
        (own_type("scan"), {"verdict": "pass", "text": "é"}),
    ):
        made = attest([("r@1", "a" * 128)], kind, predicate, signer)
        yield Case(parse_attestation, (made.data,))
        yield Case(parse_statement, (made.envelope.payload,))


def parse_attestation(parts: Parts, _random: random.Random) -> None:
    found = statement.parse(parts[0])
    assert dsse.parse(dsse.format(found.envelope)) == found.envelope
    assert all(len(digest) == 128 for digest in found.statement.subjects)
    assert not (found.statement.reading.passes and found.statement.reading.fault)


def parse_statement(parts: Parts, random_: random.Random) -> None:
    line = dsse.Signature("x", b"x")
    parse_attestation((dsse.format(dsse.Envelope(statement.PAYLOAD_TYPE, parts[0], (line,))),), random_)


def vouchers() -> Iterator[Case]:
    signed = vendor.sign({"config.json": b"{}", "model.safetensors": b"x"})
    yield Case(parse_voucher, (signed,))
    yield Case(parse_voucher, (signed, vendor_signatures._parse(signed)[1].payload))


def parse_voucher(parts: Parts, _random: random.Random) -> None:
    _, envelope = vendor_signatures._parse(parts[0])
    payload = parts[1] if len(parts) > 1 else envelope.payload
    _, resources, ignored = vendor_signatures._statement(replace(envelope, payload=payload))
    assert all(len(digest) == 64 for digest in resources.values())
    assert all(ignored)


def receipts() -> Iterator[Case]:
    made = Receipt(
        "alpha",
        "2026-11-27T12:00:00Z",
        BUNDLE.target,
        None,
        (TARGET,),
        7,
        "a" * 128,
        BUNDLE.marking,
        "note",
        5,
        "b" * 96,
    )
    yield Case(parse_receipt, (receipt.format(made),))
    yield Case(parse_receipt, (receipt.format(replace(made, metadata=99)),))


def parse_receipt(parts: Parts, _random: random.Random) -> None:
    assert receipt.format(receipt.parse(parts[0])) == parts[0]


def requests() -> Iterator[Case]:
    ledger = StatedLedger("note", 5, "b" * 96)
    made = Request("alpha", "2026-11-27T12:00:00Z", 7, "a" * 128, (0, 3, 4, 900), BUNDLE.marking, ledger)
    yield Case(parse_request, (request.format(made),))


def parse_request(parts: Parts, _random: random.Random) -> None:
    stated = request.parse(parts[0])
    assert request.format(stated) == parts[0]
    assert 0 < len(stated.missing) <= request.MAX_MISSING


def codes() -> Iterator[Case]:
    """What is typed, and symbols whose lines are right, so that damage reaches what they say."""
    some = (
        ReceiptCode("0123456789", 412, "fedcba9876", 17, "00ff00ff00"),
        RequestCode("0123456789", 17, "a1b2c3d4e5", (0, 3, 4, 5, 900)),
        RequestCode("0123456789", 17, "a1b2c3d4e5", tuple(range(0, 3000, 7))),
    )
    for said in some:
        yield Case(parse_code, ("\n".join(code.format(said)).encode(),))
        yield Case(parse_symbols, (bytes(typed_lines.parse("\n".join(code.format(said)))),))


def parse_code(parts: Parts, _random: random.Random) -> None:
    said = code.parse(parts[0].decode("ascii", errors="replace"))
    assert code.parse("\n".join(code.format(said))) == said


def parse_symbols(parts: Parts, _random: random.Random) -> None:
    symbols = [byte & 31 for byte in parts[0]][
        : typed_lines.MAX_LINES * typed_lines.PAYLOAD - typed_lines.DIGEST
    ]
    said = code.parse("\n".join(typed_lines.format(symbols)))
    assert typed_lines.parse("\n".join(code.format(said))) == typed_lines.filled(symbols)


def enclave_records() -> Iterator[Case]:
    held = Acknowledged("a" * 128, 3, "2026-11-27T12:00:00Z", "receipt")
    made = EnclaveRecord(
        "alpha",
        "2026-11-27T12:00:00Z",
        "pem",
        "b" * 96,
        (held,),
        Newest("note", 5, 3, 9),
        Word(6, "0123456789"),
    )
    with tempfile.TemporaryDirectory() as folder:
        depot = Depot(Path(folder))
        depot.enclaves.mkdir()
        enclaves.save(depot, made)
        yield Case(parse_enclave, ((depot.enclaves / "alpha.json").read_bytes(),))


def parse_enclave(parts: Parts, _random: random.Random) -> None:
    record = enclaves.parse(parts[0], "record")
    assert enclaves.format(record) == parts[0]


def answers() -> Iterator[Case]:
    data: dict[str, Any]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        signer = make_log(path, 5)
        with opened(path) as log:
            data = {
                "entries": [e.to_json() for e in log.entries()],
                "more": False,
                "proof": answer_proof.prove(log, range(5)),
            }
    document = {"airlift": 1, "command": "provenance history", "ok": True, "data": data}
    key = verify.load_key(signer.public.pem(), "key")
    yield Case(partial(judge_answer, key, data["entries"]), (json.dumps(document).encode(),))


def judge_answer(
    key: verify.Verifier, entries: list[dict[str, Any]], parts: Parts, _random: random.Random
) -> None:
    try:
        result = verify._verify_small(parts[0], key, [], [])
    except verify.Failure as error:
        raise MalformedError(str(error)) from error
    if result.kind == "answer":
        assert all(entry in entries for entry in json.loads(parts[0])["data"].get("entries", []))


TARGETS: dict[str, Callable[[], Iterator[Case]]] = {
    **{CODECS[number].name: partial(plain, number) for number in (2, 3, 4)},
    **{CODECS[number].name: partial(predicted, number) for number in (5, 6)},
    "narrow": partial(narrowed, NARROW.id),
    "convert": partial(conversions, CONVERT.id),
    "grid": dequantised,
    "chunk": chunks,
    "shard": shard_files.cases,
    "safetensors": headers,
    "gguf": ggufs,
    **{name: partial(containers, name) for name in CONTAINERS},
    "pytorch": checkpoints,
    "attestation": attestations,
    "vendor": vouchers,
    "receipt": receipts,
    "request": requests,
    "code": codes,
    "enclave": enclave_records,
    "answer": answers,
    "gate": gate_files.cases,
    "drift": drift_files.cases,
}
SECONDS = float(os.environ.get("FUZZ_SECONDS", "3")) / len(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_no_damaged_input_is_taken_for_a_good_one(name: str, count: Recorder) -> None:
    """Threat: a parser that trusts what it parses; one input that costs all memory, or all day."""
    seed = int.from_bytes(os.urandom(4), "big") if "FUZZ_SECONDS" in os.environ else 1
    words = [sys.executable, "-W", "error", "-m", "tests.fuzz.test_parsers", name, str(SECONDS), str(seed)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS + 120)
    assert done.returncode == 0, f"seed {seed}: {done.stderr[-4000:]}"
    count(name, done.stdout, r"(\d+) fed, (\d+) refused")
    sys.stdout.write(f"{name}, seed {seed}: {done.stdout}")


def main() -> None:
    """Fuzz one target: NAME SECONDS SEED."""
    name, seconds, seed = sys.argv[1:]
    count = run(list(TARGETS[name]()), float(seconds), int(seed), corpus.load(name))
    assert count.fed > 10
    assert count.slowest < SLOWEST
    assert count.grown < GROWN
    sys.stdout.write(f"{count}\n")


if __name__ == "__main__":
    main()
