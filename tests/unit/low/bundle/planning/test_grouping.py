"""Who takes which coding of a content: as few codings as can be, and none that somebody cannot decode."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from airlift.low.bundle.planning.grouping import Groups, Reads, group

ALONE = Reads(frozenset(), frozenset())


def on(*held: str, built: tuple[str, ...] = ()) -> Reads:
    return Reads(frozenset(held), frozenset(built))


def takers(*numbers: int) -> frozenset[int]:
    return frozenset(numbers)


def test_what_is_coded_alone_is_for_all_who_lack_it() -> None:
    found = group([{"new": ALONE}, {"new": ALONE}, {}], [frozenset(), frozenset(), frozenset({"new"})])
    assert found == {"new": (takers(0, 1),)}


def test_what_all_hold_serves_all() -> None:
    assert group([{"x": on("b")}, {"x": on("c")}], [{"b"}, {"b", "c"}]) == {"x": (takers(0, 1),)}
    assert group([{"x": on("b")}, {"x": on("c")}], [{"b"}, {"c"}]) == {"x": (takers(0), takers(1))}


def test_what_reads_a_file_of_the_bundle_is_for_those_who_take_that_too() -> None:
    first, second = {"a": on("b"), "m": on(built=("a",))}, {"a": on("c"), "m": on(built=("a",))}
    found = group([first, second], [{"b"}, {"c"}])
    assert found["m"] == (takers(0), takers(1))
    found = group([first, second], [{"b", "c"}, {"c"}])
    assert found == {"a": (takers(0, 1),), "m": (takers(0, 1),)}
    found = group([first, {"m": on("a")}], [{"b"}, {"a"}])
    assert found == {"a": (takers(0),), "m": (takers(0), takers(1))}


def test_what_serves_most_comes_first() -> None:
    reads = [{"x": on("b")}, {"x": on("c")}, {"x": on("d")}]
    assert group(reads, [{"b"}, {"b", "c"}, {"c", "d"}])["x"] == (takers(0, 1), takers(2))


NAMES = st.sampled_from("pqrst")


@given(st.data())
def test_everybody_gets_everything_and_can_decode_it(data: st.DataObject) -> None:
    held = [data.draw(st.frozensets(NAMES)) for _ in range(3)]
    reads = [drawn(data, own) for own in held]
    found = group(reads, held)
    for name, several in found.items():
        lacking = [number for number, one in enumerate(reads) if name in one]
        assert sorted(number for some in several for number in some) == lacking
        for some in several:
            assert any(decode(some, planned, reads[planned][name], held, found) for planned in some)


def drawn(data: st.DataObject, own: frozenset[str]) -> dict[str, Reads]:
    """Return what a class lacks, and what the coding of each reads of what it holds and lacks."""
    made: dict[str, Reads] = {}
    for name in "uvwxyz":
        if data.draw(st.booleans()):
            bases = data.draw(st.frozensets(st.sampled_from(sorted(own)))) if own else frozenset[str]()
            built = data.draw(st.frozensets(st.sampled_from(sorted(made)))) if made else frozenset[str]()
            made[name] = Reads(bases, built)
    return made


def decode(
    some: frozenset[int], planned: int, read: Reads, held: Sequence[frozenset[str]], found: Groups
) -> bool:
    """Say whether all of some can take a content as it is planned for one of them."""
    if some == {planned}:
        return True
    beside = [next(one for one in found[built] if planned in one) for built in read.built]
    return all(read.held <= held[number] for number in some - {planned}) and all(
        some <= one for one in beside
    )
