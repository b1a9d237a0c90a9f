"""The tree of errors: codes are the contract of CLI.md, and every class says what to do next."""

import pytest

from airlift import errors
from airlift.errors import AirliftError

CODES = {
    "baseline-damaged": 5,
    "baseline-not-held": 5,
    "below-floor": 6,
    "busy": 7,
    "change-pending": 2,
    "content-damaged": 3,
    "digest-mismatch": 3,
    "exists": 2,
    "expired": 6,
    "file-forbidden": 2,
    "format-too-new": 7,
    "internal": 1,
    "inventory-mismatch": 3,
    "inventory-refused": 6,
    "io-error": 8,
    "key-unavailable": 7,
    "ledger-inconsistent": 3,
    "malformed": 3,
    "manifest-invalid": 2,
    "marking-refused": 6,
    "no-space": 8,
    "overtaken": 6,
    "permission-denied": 7,
    "proven-bad": 3,
    "quorum-unmet": 6,
    "recovery-needed": 7,
    "refused": 6,
    "release-not-held": 5,
    "replayed": 3,
    "requirement-unmet": 6,
    "revoked": 6,
    "sequence-reused": 3,
    "shards-missing": 4,
    "signature-invalid": 3,
    "stalled": 7,
    "trust-state-mismatch": 3,
    "unpublished": 6,
    "unreadable": 7,
    "usage": 2,
    "volume-too-small": 8,
    "volumes-missing": 4,
    "volumes-mixed": 3,
    "wrong-enclave": 6,
}


def classes(base: type[AirliftError] = AirliftError) -> list[type[AirliftError]]:
    own = [base] if base.__module__ == errors.__name__ else []
    return own + [found for child in base.__subclasses__() for found in classes(child)]


def test_codes_and_exit_codes_never_change() -> None:
    found = {cls.code: cls.exit_code for cls in classes()}
    assert {code: found.get(code) for code in CODES} == CODES


def test_no_two_classes_share_a_code() -> None:
    codes = [cls.code for cls in classes()]
    assert sorted(codes) == sorted(set(codes))


@pytest.mark.parametrize("cls", classes())
def test_messages_help(cls: type[AirliftError]) -> None:
    assert cls.__doc__
    assert cls.default_hint
    assert not cls.default_hint.endswith(".")
    assert cls.code == cls.code.lower()
    if (
        cls.__base__ is not None
        and issubclass(cls.__base__, AirliftError)
        and cls.__base__ is not AirliftError
    ):
        assert cls.exit_code == cls.__base__.exit_code


def test_an_error_carries_what_it_was_given() -> None:
    error = AirliftError("text", expected="a", found="b", data={"missing": [1]})
    assert (str(error), error.message, error.expected, error.found) == ("text", "text", "a", "b")
    assert error.hint == AirliftError.default_hint
    assert error.data == {"missing": [1]}
    assert AirliftError("text").data == {}
    assert AirliftError("text", hint="other").hint == "other"
