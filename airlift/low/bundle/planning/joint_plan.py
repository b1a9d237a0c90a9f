"""Plan one bundle for several receivers: groups of files, each coded against what all of it hold (SPEC L4.24)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from airlift.bundle.release import Release
from airlift.low.bundle.planning.coding_plan import CodingPlan, Held, placed, plan_coding, plan_some
from airlift.low.bundle.planning.estimate import estimate
from airlift.low.bundle.planning.grouping import Groups, Reads, Takers, group
from airlift.low.bundle.planning.receivers import Receiver
from airlift.low.depot.depot import Depot
from airlift.tensors.matching.segment import Segment, Source


@dataclass(frozen=True, slots=True)
class Group:
    """Files ``[first, end)`` of a plan, which the same enclaves take."""

    enclaves: frozenset[str]
    first: int
    end: int

    @property
    def files(self) -> range:
        """The numbers of its files."""
        return range(self.first, self.end)


@dataclass(frozen=True, slots=True)
class JointPlan:
    """A plan for several receivers: its files group by group. One content may be in several groups.

    One for a single receiver has neither.
    """

    plan: CodingPlan
    groups: tuple[Group, ...] = ()
    receivers: tuple[Receiver, ...] = ()

    @property
    def starts(self) -> tuple[int, ...]:
        """The number of the first file of each group."""
        return tuple(item.first for item in self.groups)


@dataclass(frozen=True, slots=True)
class _Class:
    """Receivers with the same baseline and the same variants: what they lack, and what they hold."""

    enclaves: tuple[str, ...]
    part: Release
    held: Release | None

    @property
    def contents(self) -> frozenset[str]:
        return frozenset(self.held.contents()) if self.held else frozenset()


Wanted = Sequence[tuple[frozenset[str], Sequence[str]]]
"""The enclaves of each group, and the SHA-512 of its files."""


def plan_jointly(depot: Depot, target: Release, receivers: Sequence[Receiver]) -> JointPlan:
    """Plan how ``target`` is coded for several receivers; reads headers of files, and samples."""
    classes = _classes(receivers)
    if len(classes) == 1:
        (one,) = classes
        plan = plan_coding(depot, one.part, one.held)
        groups = (Group(frozenset(one.enclaves), 0, len(plan.files)),) if plan.files else ()
        return JointPlan(plan, groups, tuple(receivers))
    plans = [plan_coding(depot, one.part, one.held) for one in classes]
    held = [one.contents for one in classes]
    shared = group([_reads(plan) for plan in plans], held)
    _join_where_smaller(depot, target, classes, plans, shared)
    return plan_groups(depot, target, receivers, _wanted(classes, shared))


def plan_groups(depot: Depot, target: Release, receivers: Sequence[Receiver], wanted: Wanted) -> JointPlan:
    """Plan groups one after the other, each against what all of it hold and the files before that all of it take."""
    joint = JointPlan(CodingPlan((), (), (), ()), (), tuple(receivers))
    known = {one.enclave: one for one in receivers}
    for names, contents in wanted:
        before = [number for item in joint.groups if names <= item.enclaves for number in item.files]
        held = _common([known[name].held for name in sorted(names)])
        held = replace(held, before=tuple(joint.plan.files[number] for number in before))
        places = {item.entry.sha512: item for item in placed(known[min(names)].part)}
        files = [places[name] for name in contents]
        joint = _append(joint, plan_some(depot, target, files, held), before, names)
    return joint


# -- classes and groups --------------------------------------------------------------------------------------------


def _classes(receivers: Sequence[Receiver]) -> list[_Class]:
    found: dict[tuple[object, ...], list[Receiver]] = {}
    for one in receivers:
        held = (one.held.digest, one.held.chosen) if one.held else None
        found.setdefault((one.part.chosen, held), []).append(one)
    return [
        _Class(tuple(one.enclave for one in alike), alike[0].part, alike[0].held) for alike in found.values()
    ]


def _reads(plan: CodingPlan) -> Mapping[str, Reads]:
    """Return what the coding of each content of a plan reads, in the order of the plan."""
    found = {}
    for item, parts in zip(plan.files, plan.segments, strict=True):
        numbers = {source.file for part in parts for source in part.sources}
        names = {number: plan.source(number).entry.sha512 for number in numbers}
        held = frozenset(name for number, name in names.items() if number < len(plan.bases))
        built = frozenset(name for number, name in names.items() if number >= len(plan.bases))
        found[item.entry.sha512] = Reads(held, built)
    return found


def _join_where_smaller(
    depot: Depot, target: Release, classes: Sequence[_Class], plans: Sequence[CodingPlan], groups: Groups
) -> None:
    """Code content once that is coded apart, where samples say that this takes no more bytes."""
    apart = {name: takers for name, takers in groups.items() if len(takers) > 1}
    coded = [
        estimate(depot, _only(plan, {name for name, takers in apart.items() if _is_first(number, takers)}))
        for number, plan in enumerate(plans)
    ]
    for lacking in dict.fromkeys(frozenset[int]().union(*takers) for takers in apart.values()):
        names = {name for name, takers in apart.items() if frozenset[int]().union(*takers) == lacking}
        files = {
            item.entry.sha512: item for plan in plans for item in plan.files if item.entry.sha512 in names
        }
        held = _common([classes[number].held for number in sorted(lacking)])
        once = estimate(depot, plan_some(depot, target, list(files.values()), held))
        for name in names:
            if once[name] <= sum(coded[min(takers)][name] for takers in apart[name]):
                groups[name] = (lacking,)


def _is_first(number: int, takers: Iterable[Takers]) -> bool:
    return any(number == min(one) for one in takers)


def _only(plan: CodingPlan, names: set[str]) -> CodingPlan:
    """Return a plan whose other files have no segments: nothing of them is coded."""
    pairs = zip(plan.files, plan.segments, strict=True)
    return replace(plan, segments=tuple(s if item.entry.sha512 in names else () for item, s in pairs))


def _wanted(classes: Sequence[_Class], groups: Groups) -> Wanted:
    """Return the groups in the order of the bundle: the largest first, so that others may read of their files."""
    found: dict[frozenset[str], list[str]] = {}
    for name, takers in groups.items():
        for one in takers:
            enclaves = frozenset(enclave for number in one for enclave in classes[number].enclaves)
            found.setdefault(enclaves, []).append(name)
    return sorted(found.items(), key=lambda item: (-len(item[0]), sorted(item[0])))


def _common(releases: Sequence[Release | None]) -> Held:
    """Return what all of some hold."""
    first, *others = releases
    if first is None or None in others:
        return Held(None, ())
    contents = [release.contents() for release in others if release is not None]
    kept = (item for item in placed(first) if all(item.entry.sha512 in one for one in contents))
    return Held(first, tuple(kept))


# -- putting plans together ----------------------------------------------------------------------------------------


def _append(joint: JointPlan, plan: CodingPlan, before: Sequence[int], names: frozenset[str]) -> JointPlan:
    """Return a joint plan with one more group, whose plan has the files ``before`` at the end of its bases."""
    whole = joint.plan
    own = plan.bases[: len(plan.bases) - len(before)]
    shift, first = len(whole.bases), len(whole.files)
    built = len(whole.bases) + len(own)
    old = [*range(shift), *(number + len(own) for number in range(shift, shift + first))]
    new = [*range(shift, built), *(built + number for number in before)]
    new += range(built + first, built + first + len(plan.files))
    joined = CodingPlan(
        files=(*whole.files, *plan.files),
        bases=(*whole.bases, *own),
        segments=(*_renumbered(whole.segments, old), *_renumbered(plan.segments, new)),
        spans=(*whole.spans, *plan.spans),
    )
    return replace(joint, plan=joined, groups=(*joint.groups, Group(names, first, first + len(plan.files))))


def _renumbered(
    segments: Sequence[Sequence[Segment]], numbers: Sequence[int]
) -> Iterable[tuple[Segment, ...]]:
    for parts in segments:
        yield tuple(
            replace(
                part,
                source=None if part.source is None else _moved(part.source, numbers),
                factors=tuple(_moved(source, numbers) for source in part.factors),
                aside=None if part.aside is None else _moved(part.aside, numbers),
            )
            for part in parts
        )


def _moved(source: Source, numbers: Sequence[int]) -> Source:
    return replace(source, file=numbers[source.file])
