"""Quorums: who counts, and what each rule leaves out, broken and met (SPEC 4.5-11 to 4.5-13, 8.2-21, 8.2-22)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airlift.bundle.fields import format_time
from airlift.errors import QuorumError
from airlift.policy.demands import Demands, Quorum, parse_demands
from airlift.policy.quorum import Case, Standing, judge_quorums, quorum_objections
from airlift.policy.votes import Vote

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NAMES = {"1": "issm", "2": "owner", "3": "official", "4": "scanner", "b": "machine", "r": "erin"}


def days_ago(days: int) -> str:
    return format_time(NOW - timedelta(days=days))


def demand(*bars: list[str], days: int | None = None, **kinds: tuple[int, str]) -> Demands:
    """Return demands: for each kind a threshold and keys."""
    more = {} if days is None else {"expires_after_days": days}
    quorums = {kind: {"threshold": n, "keys": list(keys), **more} for kind, (n, keys) in kinds.items()}
    return parse_demands({"attestations": quorums, "bar": list(bars)})


def judge(demands: Demands, said: dict[str, list[Vote]] | dict[str, str], **more: Any) -> Standing:
    """Judge votes, or keys that speak for a release now; a key stands for the file that a policy would name."""
    votes = {
        kind: [Vote((key,), True, 1, format_time(NOW)) for key in given] if isinstance(given, str) else given
        for kind, given in said.items()
    }
    asked: tuple[tuple[str, Quorum], ...] = demands.attestations
    case: dict[str, Any] = {
        "votes": votes,
        "voters": {kind: frozenset(quorum.keys) for kind, quorum in asked},
        "reference": NOW,
        "names": tuple(NAMES.items()),
    }
    return judge_quorums(demands, Case(**(case | more)))


def objections(demands: Demands, standing: Standing) -> list[QuorumError]:
    found = quorum_objections(demands, standing, lambda kind: f"attest {kind}")
    assert all(error.exit_code == 6 and error.code == "quorum-unmet" for error in found)
    return found


def names(standing: Standing, kind: str) -> list[str]:
    count = standing.count(kind)
    assert count is not None
    return [holder.name for holder in count.holders]


# -- counting ------------------------------------------------------------------------------------------------------


def test_as_many_as_policy_asks_for() -> None:
    demands = demand(approval=(2, "123"), scan=(1, "4"))
    short = judge(demands, {"approval": "1"})
    first, second = objections(demands, short)
    assert (first.message, first.expected, first.found, first.hint) == (
        "the release lacks approval attestations", "2", "1", "attest approval",
    )  # fmt: skip
    assert (second.expected, second.found) == ("1", "0")
    whole = judge(demands, {"approval": "13", "scan": "4"})
    assert objections(demands, whole) == []
    assert names(whole, "approval") == ["issm", "official"]
    assert whole.is_met("approval")
    assert not whole.is_met("custody")


def test_only_keys_that_policy_names_for_the_kind() -> None:
    demands = demand(approval=(2, "123"), scan=(1, "4"))
    standing = judge(demands, {"approval": "14", "scan": "12", "custody": "123"})
    assert names(standing, "approval") == ["issm"]
    assert names(standing, "scan") == []


def test_what_does_not_pass_never_counts() -> None:
    said = [Vote(("1",), True, 1), Vote(("1",), False, 2), Vote(("2",), False, 1)]
    assert names(judge(demand(approval=(1, "12")), {"approval": said}), "approval") == []


# -- holders -------------------------------------------------------------------------------------------------------


def test_two_keys_of_one_holder_count_once() -> None:
    demands = demand(approval=(2, "12"))
    standing = judge(demands, {"approval": "12"}, names=[("1", "erin"), ("2", "Erin")])
    (error,) = objections(demands, standing)
    assert (error.expected, error.found) == ("2", "1")
    assert objections(demands, judge(demands, {"approval": "12"}, names=[("1", "erin"), ("2", "fay")])) == []


def test_a_holder_takes_back_with_either_key() -> None:
    said = [Vote(("1",), True, 1), Vote(("2",), False, 2)]
    one_hand = judge(demand(approval=(1, "12")), {"approval": said}, names=[("1", "erin"), ("2", "erin")])
    assert names(one_hand, "approval") == []
    assert names(judge(demand(approval=(1, "12")), {"approval": said}), "approval") == ["issm"]


def test_a_key_that_policy_does_not_name_takes_nothing_back() -> None:
    said = [Vote(("1",), True, 1), Vote(("9",), False, 2)]
    standing = judge(demand(approval=(1, "1")), {"approval": said}, names=[("1", "erin"), ("9", "erin")])
    assert names(standing, "approval") == ["erin"]


# -- age -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time", "counts"),
    [
        (days_ago(0), True),
        (days_ago(90), True),
        (format_time(NOW - timedelta(days=90, seconds=1)), False),
        (days_ago(-4000), True),  # of the future: as of the reference time
    ],
)
def test_a_vote_expires(time: str, counts: bool) -> None:
    demands = demand(approval=(1, "1"), days=90)
    standing = judge(demands, {"approval": [Vote(("1",), True, 1, time)]})
    assert names(standing, "approval") == (["issm"] if counts else [])
    for error in objections(demands, standing):
        assert error.message == "the release lacks approval attestations: 1 expired (issm)"
        assert (error.expected, error.found) == ("1", "0; 1 expired (issm)")


def test_without_a_limit_nothing_expires() -> None:
    said = {"approval": [Vote(("1",), True, 1, days_ago(9000)), Vote(("2",), True, 1)]}
    assert names(judge(demand(approval=(2, "12")), said), "approval") == ["issm", "owner"]


def test_what_gives_no_time_is_as_old_as_the_record() -> None:
    said = {"approval": [Vote(("1",), True, 5)]}
    demands = demand(approval=(1, "1"), days=90)
    for issued, counts in (({}, 0), ({2: days_ago(91)}, 0), ({2: days_ago(91), 5: days_ago(90)}, 1),
                           ({2: days_ago(91), 6: days_ago(1)}, 0)):  # fmt: skip
        assert len(names(judge(demands, said, issued=issued), "approval")) == counts


def test_an_expired_vote_is_renewed_by_a_later_one() -> None:
    said = [Vote(("1",), True, 1, days_ago(100), "s"), Vote(("1",), True, 9, days_ago(1), "t")]
    assert names(judge(demand(approval=(1, "1"), days=90), {"approval": said}), "approval") == ["issm"]
    carried_again = [said[0], Vote(("1",), True, 9, None, "s")]
    standing = judge(demand(approval=(1, "1"), days=90), {"approval": carried_again}, issued={9: days_ago(1)})
    assert names(standing, "approval") == []


# -- bars against who made it --------------------------------------------------------------------------------------

MADE = {"build": frozenset("b"), "release": frozenset("r")}


@pytest.mark.parametrize(("role", "key", "name"), [("build", "b", "machine"), ("release", "r", "erin")])
def test_who_made_it_does_not_count(role: str, key: str, name: str) -> None:
    demands = demand([role, "approval"], approval=(2, f"12{key}"))
    standing = judge(demands, {"approval": f"1{key}"}, roles=MADE)
    (error,) = objections(demands, standing)
    assert (
        error.message == f"the release lacks approval attestations: bar [{role}, approval] leaves out {name}"
    )
    assert (error.expected, error.found) == ("2", f"1; bar [{role}, approval] leaves out {name}")
    assert objections(demands, judge(demands, {"approval": f"12{key}"}, roles=MADE)) == []
    unbarred = demand(approval=(2, f"12{key}"))
    assert objections(unbarred, judge(unbarred, {"approval": f"1{key}"}, roles=MADE)) == []


def test_nor_does_another_key_of_theirs() -> None:
    demands = demand(["release", "approval"], approval=(1, "1"))
    standing = judge(demands, {"approval": "1"}, roles=MADE, names=[("1", "Erin"), ("r", "erin")])
    (error,) = objections(demands, standing)
    assert "leaves out Erin/erin" in error.message
    assert objections(demands, judge(demands, {"approval": "1"}, roles=MADE)) == []


def test_nor_without_any_name() -> None:
    demands = demand(["build", "scan"], scan=(1, "b"))
    assert len(objections(demands, judge(demands, {"scan": "b"}, roles=MADE, names=[]))) == 1


def test_a_barred_vote_that_expired_is_told_as_barred() -> None:
    demands = demand(["build", "scan"], scan=(1, "b"), days=1)
    standing = judge(demands, {"scan": [Vote(("b",), True, 1, days_ago(5))]}, roles=MADE)
    (count,) = standing.counts
    assert (count.expired, len(count.barred)) == ((), 1)


def test_who_built_it_may_not_have_released_it() -> None:
    demands = demand(["build", "release"])
    same = {"build": frozenset("b"), "release": frozenset("br")}
    (error,) = objections(demands, judge(demands, {}, roles=same))
    assert "machine built the release and released it: bar [build, release]" in error.message
    assert (error.expected, error.found) == ("different holders", "machine")
    assert objections(demands, judge(demands, {}, roles=MADE)) == []
    assert objections(demand(), judge(demand(), {}, roles=same)) == []


# -- bars between kinds --------------------------------------------------------------------------------------------


def test_one_person_does_not_fill_two_quorums_that_bar_each_other() -> None:
    demands = demand(["scan", "approval"], scan=(1, "12"), approval=(1, "12"))
    standing = judge(demands, {"scan": "1", "approval": "1"})
    (error,) = objections(demands, standing)
    assert (
        error.message
        == "too few different holders attest the release: bar [scan, approval], and both by issm"
    )
    assert error.expected == "1 for approval and 1 for scan, different holders"
    assert error.found == "approval: issm; scan: issm"
    assert not standing.is_met("scan")
    assert standing.clashes("scan") == ("too few different holders for approval and scan",)
    for said in (
        {"scan": "12", "approval": "1"},
        {"scan": "1", "approval": "2"},
        {"scan": "12", "approval": "12"},
    ):
        assert objections(demands, judge(demands, said)) == []
    free = demand(scan=(1, "12"), approval=(1, "12"))
    assert objections(free, judge(free, {"scan": "1", "approval": "1"})) == []


def test_nor_with_two_keys() -> None:
    demands = demand(["scan", "approval"], scan=(1, "1"), approval=(1, "2"))
    standing = judge(demands, {"scan": "1", "approval": "2"}, names=[("1", "erin"), ("2", "erin")])
    assert len(objections(demands, standing)) == 1
    assert objections(demands, judge(demands, {"scan": "1", "approval": "2"})) == []


def test_what_lacks_anyway_is_told_alone() -> None:
    demands = demand(["scan", "approval"], scan=(2, "12"), approval=(1, "12"))
    standing = judge(demands, {"scan": "1", "approval": "1"})
    (error,) = objections(demands, standing)
    assert error.message == "the release lacks scan attestations"
    assert standing.is_met("approval")


def test_bars_that_have_nothing_to_do_with_each_other_are_told_apart() -> None:
    demands = demand(
        ["scan", "approval"], ["evaluation", "custody"],
        scan=(1, "1"), approval=(1, "1"), evaluation=(1, "2"), custody=(1, "2"),
    )  # fmt: skip
    said = {"scan": "1", "approval": "1", "evaluation": "2", "custody": "2"}
    assert len(objections(demands, judge(demands, said))) == 2
