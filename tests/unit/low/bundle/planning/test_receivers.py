"""From which baseline each of several enclaves starts."""

from dataclasses import replace
from itertools import permutations

from airlift.bundle.release import Release
from airlift.low.bundle.planning.receivers import Receiver, join, started
from tests.support.bundle_values import RELEASE

ONE, TWO, THREE = (replace(RELEASE, version=version) for version in ("1", "2", "3"))


def receiver(name: str, baseline: Release | None, *, stated: bool = False) -> Receiver:
    return Receiver(name, baseline, "receipt", RELEASE, stated=stated)


def test_one_that_still_holds_the_baseline_of_another_starts_from_it() -> None:
    alpha, bravo, charlie = receiver("alpha", ONE), receiver("bravo", TWO), receiver("charlie", THREE)
    known = {
        "bravo": {ONE.digest: "operator", TWO.digest: "receipt"},
        "charlie": {ONE.digest: "receipt", TWO.digest: "receipt", THREE.digest: "receipt"},
    }
    joined = join([bravo, alpha, charlie], known)
    assert [(one.enclave, digest) for one, digest in joined] == [
        ("bravo", ONE.digest),
        ("alpha", ONE.digest),
        ("charlie", ONE.digest),
    ]
    moved = started(bravo, ONE, known)
    assert (moved.baseline, moved.known_by, moved.label) == (ONE, "operator", "assistant@1")
    assert started(alpha, ONE, known) is alpha


def test_who_does_not_hold_it_starts_from_its_own() -> None:
    alpha, bravo = receiver("alpha", ONE), receiver("bravo", TWO)
    assert [digest for _, digest in join([alpha, bravo], {})] == [ONE.digest, TWO.digest]
    new = receiver("new", None)
    assert [digest for _, digest in join([new, bravo], {"bravo": {ONE.digest: "receipt"}})] == [
        None,
        TWO.digest,
    ]
    assert started(new, None, {}).label is None


def test_nobody_starts_from_an_older_one_for_nothing() -> None:
    """What broke: the largest set of enclaves was put together, also if every baseline was needed all the same."""
    old, other = receiver("alpha", ONE), receiver("alpha2", ONE)
    both, new = receiver("bravo", TWO), receiver("charlie", TWO)
    known = {"bravo": {ONE.digest: "receipt", TWO.digest: "receipt"}, "charlie": {TWO.digest: "receipt"}}
    for order in permutations([old, other, both, new]):
        found = {one.enclave: digest for one, digest in join(order, known)}
        assert found == {
            "alpha": ONE.digest, "alpha2": ONE.digest, "bravo": TWO.digest, "charlie": TWO.digest
        }  # fmt: skip


def test_what_the_operator_named_stays() -> None:
    alpha, bravo = receiver("alpha", ONE), receiver("bravo", TWO, stated=True)
    known = {"bravo": {ONE.digest: "receipt"}}
    assert [digest for _, digest in join([alpha, bravo], known)] == [ONE.digest, TWO.digest]
    known = {"alpha": {TWO.digest: "receipt"}}
    assert [digest for _, digest in join([alpha, bravo], known)] == [TWO.digest, TWO.digest]
