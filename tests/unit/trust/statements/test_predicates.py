"""Predicates of others: each format, with what it demands broken and met (SPEC 4.5-10)."""

import copy
from typing import Any

import pytest

from airlift.trust.statements import predicates
from airlift.trust.statements.predicates import SVR, TEST_RESULT, VSA, VULNS, VULNS_2, read_predicate

TIME = "2026-11-21T12:00:00Z"
FINDING = {"id": "CVE-2026-1", "severity": [{"method": "nvd", "score": "low"}]}
# As the examples of the specifications have them.
SAMPLES: dict[str, dict[str, Any]] = {
    TEST_RESULT: {"result": "PASSED", "configuration": [{"name": "suite.yaml"}], "failedTests": []},
    SVR: {
        "verifier": {"id": "https://example.com/verifier/v2", "policy": {"uri": "x"}},
        "timeCreated": "2026-11-21T12:00:00.52Z",
        "properties": ["SLSA_BUILD_LEVEL_3", "ORG_SOURCE_STATIC_ANALYSIS"],
    },
    VSA: {
        "verifier": {"id": "https://example.com/verifier"},
        "timeVerified": TIME,
        "resourceUri": "https://example.com/model",
        "policy": {"uri": "https://example.com/policy", "digest": {"sha256": "12"}},
        "inputAttestations": [],
        "verificationResult": "PASSED",
        "verifiedLevels": ["SLSA_BUILD_LEVEL_3"],
        "slsaVersion": "1.0",
    },
    VULNS_2: {
        "scanner": {
            "uri": "pkg:github/aquasecurity/trivy@244fd47",
            "version": "0.19.2",
            "db": {"uri": "x", "version": "1", "lastUpdate": "2026-11-20T17:45:50.52Z"},
            "result": [FINDING],
        },
        "metadata": {"scanStartedOn": "2026-11-21T11:00:00Z", "scanFinishedOn": TIME},
    },
}
SAMPLES[VULNS] = {"invocation": {"parameters": []}, **SAMPLES[VULNS_2]}


def changed(kind: str, path: str, value: Any = None) -> dict[str, Any]:
    """Return the sample of a format with a member replaced, or removed if the value is None."""
    sample = copy.deepcopy(SAMPLES[kind])
    *names, last = path.split(".")
    place = sample
    for name in names:
        place = place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return sample


@pytest.mark.parametrize(("kind", "of"), [(VULNS, "scan"), (VULNS_2, "scan"), (SVR, "evaluation"),
                                          (VSA, "evaluation"), (TEST_RESULT, "evaluation")])  # fmt: skip
def test_what_is_whole_passes(kind: str, of: str) -> None:
    assert predicates.kind_of(kind) == of
    assert kind in predicates.types_of(of)
    found = read_predicate(kind, SAMPLES[kind])
    assert (found.passes, found.fault) == (True, "")
    assert found.time == (None if kind == TEST_RESULT else TIME)


DEMANDED = {
    TEST_RESULT: ("result", "configuration"),
    SVR: ("verifier", "verifier.id", "timeCreated", "properties"),
    VSA: ("verifier", "verifier.id", "timeVerified", "resourceUri", "policy", "policy.uri", "verificationResult",
          "verifiedLevels"),
    VULNS: ("scanner", "scanner.uri", "scanner.db", "scanner.db.lastUpdate", "scanner.result", "metadata",
            "metadata.scanStartedOn", "metadata.scanFinishedOn"),
}  # fmt: skip
DEMANDED[VULNS_2] = DEMANDED[VULNS]


@pytest.mark.parametrize(
    ("kind", "path"), [(kind, path) for kind, paths in DEMANDED.items() for path in paths]
)
def test_what_lacks_something_never_passes(kind: str, path: str) -> None:
    values: tuple[Any, ...] = (None, 7, "", {}, ["x", 1])
    for value in values:
        found = read_predicate(kind, changed(kind, path, value))
        if path == "configuration" and value == ["x", 1]:
            continue  # a list is what it has to be
        assert not found.passes, value
        assert found.fault, value


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        (TEST_RESULT, "result", "WARNED"),
        (TEST_RESULT, "result", "FAILED"),
        (TEST_RESULT, "failedTests", ["refusals"]),
        (SVR, "properties", []),
        (SVR, "properties", ["A_PASSED", "ORG_FAILED"]),
        (SVR, "properties", ["scan:failed"]),
        (VSA, "verificationResult", "FAILED"),
        (VSA, "verifiedLevels", ["FAILED"]),
    ],
)
def test_what_speaks_against_its_subject(kind: str, path: str, value: Any) -> None:
    found = read_predicate(kind, changed(kind, path, value))
    assert (found.passes, found.fault) == (False, "")


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        (TEST_RESULT, "result", "passed"),
        (TEST_RESULT, "failedTests", "none"),
        (VSA, "verificationResult", "passed"),
        (SVR, "timeCreated", "2026-11-21T12:00:00+00:00"),
        (SVR, "timeCreated", "2026-02-30T12:00:00Z"),
        (SVR, "timeCreated", "2026-11-21t12:00:00z"),
        (SVR, "timeCreated", f"{TIME}\n"),
        (SVR, "timeCreated", "٢026-11-21T12:00:00Z"),
    ],
)
def test_what_is_malformed(kind: str, path: str, value: Any) -> None:
    found = read_predicate(kind, changed(kind, path, value))
    assert not found.passes
    assert found.fault.startswith(path)


def test_a_property_may_have_failed_within_a_word() -> None:
    assert read_predicate(SVR, changed(SVR, "properties", ["FAILOVER_TESTED", "UNFAILEDX"])).passes


# -- findings ------------------------------------------------------------------------------------------------------


def severity(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"method": method, "score": score} for method, score in pairs]


@pytest.mark.parametrize(
    ("severities", "passes"),
    [
        (severity(("nvd", "low")), True),
        (severity(("nvd", "LOW"), ("cvss_score", "3.9")), True),
        (severity(("grype", "Negligible")), True),
        (severity(("CVSSv4", "0")), True),
        (severity(("cvss", "4.0")), False),
        (severity(("nvd", "medium"), ("cvss_score", "5.2")), False),
        (severity(("nvd", "low"), ("cvss_score", "9.8")), False),  # one that is serious is enough
        (severity(("nvd", "high")), False),
        (severity(("epss", "0.97")), False),  # a number on another scale
        (severity(("cvss", "-1")), False),
        (severity(("cvss", "nan")), False),
        (severity(("cvss", "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N")), False),
        (severity(("vendor", "unknown")), False),
        ([], False),
        ({"method": "nvd", "score": "low"}, True),  # the format's text says object, its example has a list
        ({"method": "nvd", "score": "critical"}, False),
    ],
)
@pytest.mark.parametrize("kind", [VULNS, VULNS_2])
def test_findings_are_serious_unless_they_are_known_to_be_low(
    kind: str, severities: Any, passes: bool
) -> None:
    found = read_predicate(
        kind, changed(kind, "scanner.result", [FINDING, {"id": "X", "severity": severities}])
    )
    assert (found.passes, found.fault) == (passes, "")


@pytest.mark.parametrize("kind", [VULNS, VULNS_2])
def test_an_empty_report_passes(kind: str) -> None:
    assert read_predicate(kind, changed(kind, "scanner.result", [])).passes


@pytest.mark.parametrize(
    "finding",
    [
        "CVE-1", {}, {"id": "X"}, {"severity": []}, {"id": "X", "severity": "low"}, {"id": "X", "severity": ["low"]},
        {"id": "X", "severity": [{"method": "nvd"}]}, {"id": "X", "severity": [{"score": "low"}]},
        {"id": "X", "severity": [{"method": "cvss", "score": 3.1}]}, {"id": 1, "severity": []}, {"vulnerability": 3},
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [VULNS, VULNS_2])
def test_a_malformed_finding_spoils_the_report(kind: str, finding: Any) -> None:
    found = read_predicate(kind, changed(kind, "scanner.result", [FINDING, finding]))
    assert not found.passes
    assert found.fault


def test_version_1_may_wrap_its_findings() -> None:
    wrapped = [{"vulnerability": FINDING}]
    assert read_predicate(VULNS, changed(VULNS, "scanner.result", wrapped)).passes
    assert not read_predicate(VULNS_2, changed(VULNS_2, "scanner.result", wrapped)).passes
    serious = [{"vulnerability": {**FINDING, "severity": severity(("nvd", "high"))}}]
    assert not read_predicate(VULNS, changed(VULNS, "scanner.result", serious)).passes


# -- airlift's own -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("predicate", "passes", "time"),
    [
        ({"verdict": "pass"}, True, None),
        ({"verdict": "pass", "time": TIME}, True, TIME),
        ({"verdict": "fail", "time": TIME}, False, TIME),
        ({"verdict": "pass", "time": "this morning"}, True, None),
        ({"verdict": "pass", "time": 5}, True, None),
        ({"verdict": "PASSED"}, False, None),
        ({"verdict": ["pass"]}, False, None),
        ({}, False, None),
    ],
)
def test_its_own_types_state_a_verdict_and_perhaps_a_time(
    predicate: dict[str, Any], passes: bool, time: str | None
) -> None:
    for kind in predicates.ATTESTED:
        found = read_predicate(predicates.own_type(kind), predicate)
        assert (found.passes, found.time) == (passes, time)


def test_types_that_judge_nothing() -> None:
    for kind in (predicates.SLSA, "https://example.com/x"):
        assert read_predicate(kind, {"verdict": "pass", "result": "PASSED"}) == predicates.Reading(
            passes=False
        )
    assert predicates.kind_of("https://example.com/x") == "other"
