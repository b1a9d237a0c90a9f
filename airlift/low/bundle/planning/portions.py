"""The portions of a bundle for several enclaves, as its manifest states them (SPEC 6.2-8)."""

from collections.abc import Collection, Mapping, Sequence

from airlift.bundle.manifest import Portion, ReleaseRef
from airlift.bundle.portions import ranges
from airlift.low.bundle.planning.joint_plan import JointPlan
from airlift.low.bundle.planning.receivers import Receiver


def portions(
    joint: JointPlan,
    places: Sequence[int] = (),
    used: Mapping[int, Collection[int]] | None = None,
) -> tuple[Portion, ...]:
    """Return who takes what of a bundle, sorted by enclave.

    ``places`` are the groups of its chunks, ``used`` the bases that files refer to; without them nothing was coded.
    """
    return tuple(
        _portion(one, joint, places, used or {})
        for one in sorted(joint.receivers, key=lambda one: one.enclave)
    )


def _portion(
    one: Receiver, joint: JointPlan, places: Sequence[int], used: Mapping[int, Collection[int]]
) -> Portion:
    mine = {number for number, item in enumerate(joint.groups) if one.enclave in item.enclaves}
    files = [number for place in sorted(mine) for number in joint.groups[place].files]
    base = one.baseline
    return Portion(
        enclave=one.enclave,
        baseline=None if base is None else ReleaseRef(base.digest, base.name, base.version),
        bases=ranges.of(sorted({base for number in files for base in used.get(number, ())})),
        files=ranges.of(files),
        chunks=ranges.of(number for number, place in enumerate(places) if place in mine),
        variants=one.part.chosen if one.part.omitted else (),
    )
