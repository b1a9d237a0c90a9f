"""What predicates say: of which kind, whether they pass, and when they were made (SPEC 4.5-4, 4.5-5, 4.5-10).

Airlift's own types state their verdict. Those of others are read as their formats say (in-toto's test-result v0.1,
svr v0.1 and vulns v0.1 and v0.2, SLSA's verification_summary v1): what lacks something that its format demands, or
has it in another form, does not pass, whatever else it says.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airlift.bundle.fields import parse_time

SLSA = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
SVR = "https://in-toto.io/attestation/svr/v0.1"
VSA = "https://slsa.dev/verification_summary/v1"
VULNS = "https://in-toto.io/attestation/vulns/v0.1"
VULNS_2 = "https://in-toto.io/attestation/vulns/v0.2"
SCAN, APPROVAL, EVALUATION, CUSTODY = "scan", "approval", "evaluation", "custody"
PROVENANCE, OTHER = "provenance", "other"
ATTESTED = (SCAN, APPROVAL, EVALUATION, CUSTODY)
"""The kinds that policy may ask for."""

_PASS, _FAIL = "pass", "fail"
_PASSED, _FAILED = "PASSED", "FAILED"
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?Z")
_NUMBER = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,8})?")
_HARMLESS = frozenset({"none", "negligible", "low"})
_SERIOUS_CVSS = 4.0
"""Where "medium" begins: FIRST's qualitative severity rating scale (CVSS v3.1 section 5, v4.0 section 6)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Whether a predicate passes, and when it says that it was made (``YYYY-MM-DDTHH:MM:SSZ``), None if it does not.

    ``fault`` says what its format demands and it lacks, empty if nothing; what has a fault never passes.
    """

    passes: bool
    time: str | None = None
    fault: str = ""


def own_type(kind: str) -> str:
    """Return airlift's own predicate type for a kind of :data:`ATTESTED`."""
    return f"urn:airlift:attestation:{kind}:v1"


def kind_of(predicate_type: str) -> str:
    """Return what sort of claim predicates of a type are, in policy's words; :data:`OTHER` for an unknown type."""
    return _KINDS.get(predicate_type, OTHER)


def types_of(kind: str) -> tuple[str, ...]:
    """Return the predicate types that are of a kind, airlift's own first."""
    return tuple(name for name, found in _KINDS.items() if found == kind)


def read_predicate(predicate_type: str, predicate: Mapping[str, Any]) -> Reading:
    """Return what a predicate says; one of a type that judges nothing does not pass, and has no fault."""
    reader = _READERS.get(predicate_type)
    if reader is None:
        return Reading(passes=False)
    try:
        passes, time = reader(predicate)
    except _LackError as fault:
        return Reading(passes=False, fault=str(fault))
    return Reading(passes, time)


# -- the formats: whether it passes, and when it was made ----------------------------------------------------------

_Said = tuple[bool, str | None]


class _LackError(Exception):
    """What a format demands, and is not there."""


def _own(predicate: Mapping[str, Any]) -> _Said:
    """Airlift's own: a verdict, and a time if it is one (a person may write something else under that name)."""
    verdict = _word(predicate, "verdict", _PASS, _FAIL)
    time = predicate.get("time")
    return verdict == _PASS, _moment(time) if isinstance(time, str) else None


def _test_result(predicate: Mapping[str, Any]) -> _Said:
    result = _word(predicate, "result", _PASSED, "WARNED", _FAILED)
    _list(predicate, "configuration")
    failed = _list(predicate, "failedTests") if "failedTests" in predicate else []
    return result == _PASSED and not failed, None


def _svr(predicate: Mapping[str, Any]) -> _Said:
    _text(predicate, "verifier.id")
    time, properties = _time(predicate, "timeCreated"), _texts(predicate, "properties")
    return bool(properties) and not any(_says_failed(text) for text in properties), time


def _vsa(predicate: Mapping[str, Any]) -> _Said:
    for name in ("verifier.id", "resourceUri", "policy.uri"):
        _text(predicate, name)
    time = _time(predicate, "timeVerified")
    result = _word(predicate, "verificationResult", _PASSED, _FAILED)
    return _FAILED not in _texts(predicate, "verifiedLevels") and result == _PASSED, time


def _vulns(predicate: Mapping[str, Any]) -> _Said:
    _text(predicate, "scanner.uri")
    _time(predicate, "scanner.db.lastUpdate")
    _time(predicate, "metadata.scanStartedOn")
    time = _time(predicate, "metadata.scanFinishedOn")
    serious = [_is_serious(_finding(item)) for item in _list(predicate, "scanner.result")]
    return not any(serious), time


def _vulns_1(predicate: Mapping[str, Any]) -> _Said:
    """As version 0.2, save that a finding may lie in ``vulnerability``, as the text of the format has it."""
    found = [
        item["vulnerability"] if isinstance(item, dict) and "vulnerability" in item else item
        for item in _list(predicate, "scanner.result")
    ]
    return _vulns({**predicate, "scanner": {**predicate["scanner"], "result": found}})


_KINDS = {
    **{own_type(kind): kind for kind in ATTESTED},
    VULNS: SCAN,
    VULNS_2: SCAN,
    TEST_RESULT: EVALUATION,
    SVR: EVALUATION,
    VSA: EVALUATION,
    SLSA: PROVENANCE,
}

_READERS: dict[str, Callable[[Mapping[str, Any]], _Said]] = {
    **{own_type(kind): _own for kind in ATTESTED},
    VULNS: _vulns_1,
    VULNS_2: _vulns,
    TEST_RESULT: _test_result,
    SVR: _svr,
    VSA: _vsa,
}


# -- findings ------------------------------------------------------------------------------------------------------


def _finding(item: Any) -> list[Mapping[str, Any]]:
    """Return the severities of a finding, which has an id."""
    if not isinstance(item, dict):
        raise _LackError("scanner.result: a list of objects")
    _text(item, "id")
    found = item.get("severity")
    severities = [found] if isinstance(found, dict) else found
    if not isinstance(severities, list) or not all(isinstance(one, dict) for one in severities):
        raise _LackError("severity: a list of objects")
    for one in severities:
        _text(one, "method")
        _text(one, "score")
    return severities


def _is_serious(severities: list[Mapping[str, Any]]) -> bool:
    """Say whether a finding is not surely a low one."""
    return not severities or not all(_is_low(one["method"], one["score"]) for one in severities)


def _is_low(method: str, score: str) -> bool:
    cvss = method.lower().startswith("cvss") and _NUMBER.fullmatch(score)
    return score.lower() in _HARMLESS or bool(cvss and float(score) < _SERIOUS_CVSS)


def _says_failed(text: str) -> bool:
    return _FAILED.lower() in re.split(r"[^a-z0-9]+", text.lower())


# -- members by their dotted names ---------------------------------------------------------------------------------


def _member(document: Mapping[str, Any], path: str) -> Any:
    found: Any = document
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _text(document: Mapping[str, Any], path: str) -> str:
    found = _member(document, path)
    if not isinstance(found, str) or not found:
        raise _LackError(f"{path}: a text")
    return found


def _list(document: Mapping[str, Any], path: str) -> list[Any]:
    found = _member(document, path)
    if not isinstance(found, list):
        raise _LackError(f"{path}: a list")
    return found


def _texts(document: Mapping[str, Any], path: str) -> list[str]:
    found = _list(document, path)
    if not all(isinstance(item, str) and item for item in found):
        raise _LackError(f"{path}: a list of texts")
    return found


def _word(document: Mapping[str, Any], path: str, *words: str) -> str:
    found = _member(document, path)
    if not isinstance(found, str) or found not in words:
        raise _LackError(f"{path}: {' or '.join(words)}")
    return found


def _time(document: Mapping[str, Any], path: str) -> str:
    found = _moment(_text(document, path))
    if found is None:
        raise _LackError(f"{path}: a time (RFC 3339, UTC: 2026-11-21T12:00:00Z)")
    return found


def _moment(text: str) -> str | None:
    """Return a time in whole seconds, or None if the text is none."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    try:
        parse_time(f"{match[1]}Z")
    except ValueError:
        return None
    return f"{match[1]}Z"
