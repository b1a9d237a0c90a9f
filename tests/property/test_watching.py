"""Any order of arrival, with repeats and interruptions, ends where one import after the other does (SPEC 7.13)."""

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from airlift.high.importing.import_bundle import import_bundle
from tests.support import enclaves
from tests.support.enclaves import V3, holds_release, operator
from tests.support.watching import Arrival, Ground, file_by_file

CHAIN = ("full", "next")


class Interruption(BaseException):
    """Ends a run anywhere."""


def files(drop: Path, twice: Sequence[int]) -> list[Arrival]:
    """Return the arrivals of all files of two bundles; some volumes come in a second folder too."""
    volumes = [volume for name in CHAIN for volume in enclaves.world().bundles[name]]
    again = [(volumes[number % len(volumes)], f"again {place}") for place, number in enumerate(twice)]
    places = [*((volume, f"volume {number}") for number, volume in enumerate(volumes)), *again]
    return [arrival for volume, name in places for arrival in file_by_file(volume, drop / name)]


def together(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Return arrivals of several files each, between two looks."""
    groups = [arrivals[start : start + 12] for start in range(0, len(arrivals), 12)]
    return [lambda group=group: [arrival() for arrival in group] for group in groups]  # type: ignore[misc]


@settings(max_examples=6)
@given(
    st.randoms(use_true_random=False),
    st.lists(st.integers(0, 9), max_size=2),
    st.lists(st.integers(1, 120), max_size=3),
)
def test_all_that_arrives_is_imported_in_whatever_order(
    random: Random, twice: list[int], cuts: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        ground = Ground(enclaves.enclave("fresh", folder), folder)
        arrivals = files(folder / "drop", twice)
        random.shuffle(arrivals)
        coming = iter(arrivals)
        for cut in cuts:
            part = together(list(islice(coming, cut)))

            def interrupt() -> None:
                raise Interruption

            with suppress(Interruption):
                ground.run([*part, *([lambda: None] * random.choice([0, 1, 2, 40])), interrupt])
        ground.run([lambda: None, *together(list(coming))])
        assert ground.run().looks > 0  # nothing is left over: nothing was refused
        assert ground.said("quarantined", "passed-over") == []
        assert holds_release(ground.enclave, V3)
        other = enclaves.enclave("fresh", folder / "other")
        for name in CHAIN:
            import_bundle(other, enclaves.world().bundles[name], operator=operator(), activate=True)
        assert enclaves.served(ground.enclave) == enclaves.served(other)
        assert ground.enclave.state().active == other.state().active
        assert [b.manifest for b in ground.enclave.state().bundles] == [
            b.manifest for b in other.state().bundles
        ]
        assert list(ground.enclave.staging.glob("*")) == []
