"""in-toto statements: kinds, verdicts, and what no statement may be."""

import json
from typing import Any

import pytest

from airlift.errors import MalformedError, UsageError
from airlift.trust.statements import dsse, predicates, statement
from tests.support import keys

SIGNER = keys.signer("one", "ecdsa-p384")
DIGEST = "a" * 128


def envelope(**changes: Any) -> bytes:
    document = {
        "_type": statement.STATEMENT_TYPE,
        "subject": [{"name": "r", "digest": {"sha512": DIGEST}}],
        "predicateType": predicates.own_type("scan"),
        "predicate": {"verdict": "pass"},
        **changes,
    }
    kept = {key: value for key, value in document.items() if value is not None}
    return dsse.format(dsse.sign(statement.PAYLOAD_TYPE, json.dumps(kept).encode(), SIGNER))


@pytest.mark.parametrize("kind", predicates.ATTESTED)
@pytest.mark.parametrize(("verdict", "passes"), [("pass", True), ("fail", False)])
def test_what_airlift_makes(kind: str, verdict: str, passes: bool) -> None:
    predicate = statement.check_predicate(
        kind, predicates.own_type(kind), {"verdict": verdict, "score": 0.25, "text": "Grüße"}
    )
    made = statement.attest([("r@1", DIGEST)], predicates.own_type(kind), predicate, SIGNER)
    assert statement.parse(made.data) == made
    assert (made.statement.kind, made.statement.passes) == (kind, passes)
    assert made.statement.subjects == (DIGEST,)


@pytest.mark.parametrize("predicate", [None, [], {}, {"verdict": "maybe"}, {"verdict": True}])
def test_a_predicate_must_say_its_verdict(predicate: Any) -> None:
    with pytest.raises(UsageError):
        statement.check_predicate("scan", predicates.own_type("scan"), predicate)


def test_a_predicate_of_another_kind_than_was_said() -> None:
    for kind, of in (("scan", predicates.SVR), ("approval", predicates.own_type("scan")), ("scan", "urn:x")):
        with pytest.raises(UsageError, match="are no ") as caught:
            statement.check_predicate(kind, of, {"verdict": "pass"})
        assert predicates.own_type(kind) in (caught.value.expected or "")
    with pytest.raises(UsageError) as caught:
        statement.check_predicate("evaluation", predicates.SVR, {"verdict": "pass"})
    assert caught.value.expected == "verifier.id: a text"


def test_the_same_statement_in_another_envelope() -> None:
    """What was signed is told apart from how it is wrapped: it is no new word (SPEC 4.5-5)."""
    one = statement.parse(envelope())
    spaced = statement.parse(one.data.replace(b",", b", "))
    assert one.digest != spaced.digest
    assert one.payload_digest == spaced.payload_digest
    other = statement.parse(envelope(predicate={"verdict": "fail"}))
    assert other.payload_digest != one.payload_digest


@pytest.mark.parametrize(
    ("kind", "predicate", "expected"),
    [
        (predicates.TEST_RESULT, {"result": "PASSED", "configuration": []}, ("evaluation", True)),
        (predicates.TEST_RESULT, {"result": "PASSED"}, ("evaluation", False)),
        (predicates.SLSA, {"verdict": "pass"}, ("provenance", False)),
        ("https://example.org/x", {"verdict": "pass"}, ("other", False)),
        (predicates.own_type("scan"), None, ("scan", False)),
    ],
)
def test_kinds_of_others(kind: str, predicate: Any, expected: tuple[str, bool]) -> None:
    found = statement.parse(envelope(predicateType=kind, predicate=predicate)).statement
    assert (found.kind, found.passes) == expected


def test_a_subject_without_sha512_is_passed_over() -> None:
    subjects = [{"digest": {"sha256": "b" * 64}}, {"name": "r", "digest": {"sha512": DIGEST}, "uri": "x"}]
    assert statement.parse(envelope(subject=subjects)).statement.subjects == (DIGEST,)


@pytest.mark.parametrize(
    "changes",
    [
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"_type": None},
        {"extra": 1},
        {"subject": []},
        {"subject": [{"name": "r", "digest": {"sha512": DIGEST}}] * 65},
        {"subject": [{"name": "r"}]},
        {"subject": [{"digest": {"sha512": DIGEST.upper()}}]},
        {"predicateType": ""},
        {"predicateType": "x\n"},
        {"predicateType": "x" * 257},
        {"predicate": []},
    ],
)
def test_what_is_no_statement(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        statement.parse(envelope(**changes))


def test_another_payload_type() -> None:
    with pytest.raises(MalformedError):
        statement.parse(dsse.format(dsse.sign("application/json", b"{}", SIGNER)))


def test_numbers_must_be_finite() -> None:
    payload = b'{"_type":"x","predicate":{"score":1e999}}'
    with pytest.raises(MalformedError):
        statement.parse(dsse.format(dsse.sign(statement.PAYLOAD_TYPE, payload, SIGNER)))
