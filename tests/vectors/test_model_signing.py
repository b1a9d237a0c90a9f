"""The public test vectors of OpenSSF Model Signing: what it demands, and what becomes of it here (SPEC 5.5)."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from airlift.errors import AirliftError
from airlift.trust.statements import model_signing

FOLDER = Path(__file__).parent / "model_signing"
CASES = json.loads((FOLDER / "cases.json").read_text())
TRUSTED = {"key": "signing-key-pub.pem", "certificate": "ca-cert.pem"}


def outcome(case: dict[str, Any]) -> str:
    signature = (FOLDER / f"{case['file']}.sig").read_bytes()
    files = {**case["files"], "model.sig": hashlib.sha256(signature).hexdigest()}
    if len(case["files"]) == 1:
        del files["model.sig"]  # a model of one file: the signature stands beside it
    try:
        model_signing.verify_model(
            signature, files, case["method"], [(FOLDER / TRUSTED[case["method"]]).read_text()]
        )
    except AirliftError as error:
        return error.code
    return "ok"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_the_outcome(case: dict[str, Any]) -> None:
    assert outcome(case) == case["outcome"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_what_differs_from_the_format_says_why(case: dict[str, Any]) -> None:
    accepted = case["outcome"] == "ok"
    assert accepted == (case["format"] in {"accepted", "well-formed"}) or case["why"]
    assert case["format"] in {"accepted", "well-formed", "may be accepted", "refused"}


def test_every_vector_is_tried() -> None:
    assert {path.stem for path in FOLDER.glob("*.sig")} == {case["file"] for case in CASES}
