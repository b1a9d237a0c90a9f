"""Requests: written and read back, what no request may be, and which chunks one asks for (SPEC 9.14)."""

import json
from dataclasses import replace
from typing import Any

import pytest

from airlift.bundle import own
from airlift.bundle.fields import Marking
from airlift.bundle.returns import request
from airlift.bundle.returns.code import RequestCode
from airlift.bundle.returns.request import Request, asked_chunks
from airlift.bundle.returns.stated_ledger import StatedLedger
from airlift.errors import AirliftError, FormatTooNewError, MalformedError, SequenceReusedError, UsageError
from airlift.strict import format as canonical
from tests.support.bundle_values import BUNDLE, SEVERAL

LEDGER = StatedLedger("a note", 7, "ab" * 48)
REQUEST = Request(
    "alpha",
    "2026-03-03T12:00:00Z",
    BUNDLE.sequence,
    BUNDLE.digest,
    (0,),
    Marking("SECRET", ("NOFORN",)),
    LEDGER,
)
DOCUMENT: dict[str, Any] = json.loads(request.format(REQUEST))


def test_what_is_written_is_read_again() -> None:
    assert request.parse(request.format(REQUEST)) == REQUEST
    assert set(DOCUMENT) == {
        *("airlift", "type", "enclave", "issued", "bundle", "missing", "marking", "checkpoint", "ledger")
    }


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"airlift": 2}, FormatTooNewError),
        ({"type": "receipt"}, MalformedError),
        ({"further": 1}, MalformedError),
        ({"enclave": "Alpha"}, MalformedError),
        ({"issued": "yesterday"}, MalformedError),
        ({"bundle": {"sequence": 0, "manifest": "a" * 128}}, MalformedError),
        ({"bundle": {"sequence": 1, "manifest": None}}, MalformedError),
        ({"bundle": {"sequence": 1, "manifest": "a" * 128, "x": 1}}, MalformedError),
        ({"missing": []}, MalformedError),
        ({"missing": [1, 1]}, MalformedError),
        ({"missing": [2, 1]}, MalformedError),
        ({"missing": [-1]}, MalformedError),
        ({"missing": [True]}, MalformedError),
        ({"missing": ["1"]}, MalformedError),
        ({"missing": [1 << 20]}, MalformedError),
        ({"missing": list(range(65537))}, MalformedError),
        ({"missing": 1}, MalformedError),
        ({"marking": {}}, MalformedError),
        ({"checkpoint": ""}, MalformedError),
        ({"checkpoint": "x" * ((256 << 10) + 1)}, MalformedError),
        ({"ledger": {"size": -1, "root": "ab" * 48}}, MalformedError),
        ({"ledger": {"size": 1, "root": "ab"}}, MalformedError),
    ],
)
def test_what_is_no_request(changes: Any, error: type[AirliftError]) -> None:
    with pytest.raises(error):
        request.parse(canonical({**DOCUMENT, **changes}))


def test_the_chunks_that_are_asked_for() -> None:
    code = RequestCode("f" * 10, BUNDLE.sequence, BUNDLE.digest[:10], (0,))
    for asked in (REQUEST, code):
        assert asked_chunks(asked, own.whole(BUNDLE)) == BUNDLE.chunks[:1]


def test_one_of_several_enclaves_gets_its_own_and_nothing_else() -> None:
    asked = replace(REQUEST, sequence=SEVERAL.sequence, manifest=SEVERAL.digest, missing=(0, 2))
    alpha, bravo = own.every(SEVERAL)
    assert asked_chunks(asked, bravo) == (SEVERAL.chunks[0], SEVERAL.chunks[2])
    with pytest.raises(MalformedError, match="another enclave's part"):
        asked_chunks(asked, alpha)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"sequence": BUNDLE.sequence + 1}, UsageError),
        ({"manifest": "0" * 128}, SequenceReusedError),
        ({"missing": (0, len(BUNDLE.chunks))}, MalformedError),
    ],
)
def test_a_request_that_names_what_is_not_in_the_bundle(changes: Any, error: type[AirliftError]) -> None:
    with pytest.raises(error):
        asked_chunks(replace(REQUEST, **changes), own.whole(BUNDLE))
