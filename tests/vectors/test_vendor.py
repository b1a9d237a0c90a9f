"""Signatures that the ``model_signing`` command made, and what was done to them: see make_vendor.py."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift.errors import AirliftError
from airlift.trust.statements import model_signing

CASES = json.loads((Path(__file__).parent / "vendor" / "signatures.json").read_text())


def outcome(case: dict[str, Any]) -> str:
    try:
        model_signing.verify_model(
            case["signature"].encode(), case["digests"], case["method"], case["trusted"]
        )
    except AirliftError as error:
        return error.code
    return "ok"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_outcome(case: dict[str, Any]) -> None:
    assert outcome(case) == case["outcome"]


def test_what_a_vendor_vouches_for() -> None:
    found = model_signing.verify_model(
        CASES[0]["signature"].encode(), CASES[0]["digests"], "key", CASES[0]["trusted"]
    )
    assert (found.model, found.ignored) == ("model", (".gitattributes",))


@given(st.integers(0, len(CASES[0]["signature"]) - 1), st.integers(1, 127))
def test_a_flipped_byte_is_an_error_or_changes_nothing(place: int, flip: int) -> None:
    data = bytearray(CASES[0]["signature"].encode())
    data[place] ^= flip
    try:
        found = model_signing.verify_model(bytes(data), CASES[0]["digests"], "key", CASES[0]["trusted"])
    except AirliftError:
        return
    assert found.model == "model"  # the hint, or white space
