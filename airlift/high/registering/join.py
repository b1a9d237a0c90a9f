"""Join: the release that comes of a held one and of what was trained inside (SPEC 8.6). Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from airlift.bundle.component import source
from airlift.bundle.component.component import Component
from airlift.bundle.component.parent import Parent
from airlift.bundle.fields import Marking, join
from airlift.bundle.release import Release, Requirement
from airlift.errors import ManifestError, MarkingError, NotHeldError
from airlift.policy.document import REGISTRABLE

DERIVED = "derived-from"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a person writes of a parent: its relation, name, and version, None for the one in the same release."""

    relation: str
    name: str
    version: str | None


@dataclass(frozen=True, slots=True)
class Made:
    """A component as it was gathered, without parents and marking, with what its author says of both."""

    component: Component
    parents: tuple[Claim, ...]
    marking: Marking | None


@dataclass(frozen=True, slots=True)
class Joining:
    """What joins: what was ``made`` now, what is ``carried`` over as it is held, and what of the base is left out."""

    made: tuple[Made, ...]
    carried: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Joined:
    """A component that joins, complete, and the requirements that come with it."""

    component: Component
    requires: tuple[Requirement, ...]


def join_release(base: Release, held: Sequence[Release], joining: Joining, levels: Sequence[str]) -> Release:
    """Return the release of ``base``, one of the ``held`` releases (the newest first), and of what joins it.

    ``levels`` are low to high. Notes, name and version are those of the base.

    Raises:
        NotHeldError: a parent, or what is carried over, is not held.
        MarkingError: a marking is below what it must cover, or levels have no order.
        ManifestError: what joins contradicts itself, or would take something out that stays.
    """
    _check_left_out(base, joining.without)
    joiner = _Joiner(base, held, {item.component.name: item for item in joining.made}, levels)
    new = [joiner.complete(item.component.name) for item in joining.made]
    new += [_carried(held, label) for label in joining.carried]
    names = [item.component.name for item in new]
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        raise ManifestError(f"component {twice[0]} joins twice")
    for item in base.components:
        if item.name in names and item.name not in joining.without and not source.is_registered(item.source):
            raise ManifestError(
                f"component {item.name} is one of {base.label}", hint="give it a name of its own"
            )
    marking = _joined([base.marking, *(_own(item.component) for item in new)], levels, "the release")
    stays = [c for c in base.components if c.name not in {*names, *joining.without}]
    components = [*(_marked(item, base, marking) for item in stays), *(item.component for item in new)]
    components.sort(key=lambda component: component.name)
    there = {component.folder for component in components}
    kept = [item for item in base.requires if item.component in there and item.component not in names]
    come = [item for joined in new for item in (*joined.requires, *_inherited(base, joined.component))]
    return replace(
        base,
        marking=marking,
        components=tuple(components),
        omitted=(),
        pieces=None,
        requires=tuple(dict.fromkeys([*kept, *come])),
    )


def _inherited(base: Release, component: Component) -> Iterator[Requirement]:
    """Yield what a release requires for what a component comes from, as the component's own requirement."""
    names = {parent.name for parent in component.parents}
    for item in base.requires:
        if item.component in names:
            yield Requirement(component.name, item.needs, item.version)


def _check_left_out(base: Release, without: Iterable[str]) -> None:
    kinds = {component.name: component.kind for component in base.components}
    for name in without:
        if kinds.get(name) not in REGISTRABLE:
            raise ManifestError(
                f"{name} cannot be left out of {base.label}",
                expected=f"a component of kind {' or '.join(REGISTRABLE)}",
                found=kinds.get(name, "no component of that name"),
            )


def _carried(held: Sequence[Release], label: str) -> Joined:
    for release in held:
        for component in release.components:
            if source.is_registered(component.source) and f"{component.name}@{component.version}" == label:
                requires = tuple(item for item in release.requires if item.component == component.name)
                return Joined(component, requires)
    raise NotHeldError(f"no held release has a component {label} that was trained inside")


def _marked(component: Component, base: Release, marking: Marking) -> Component:
    """Return a component of the base as it is marked there, whatever the new release's marking says."""
    if component.marking is not None or marking == base.marking:
        return component
    return replace(component, marking=base.marking)


def _own(component: Component) -> Marking:
    if component.marking is None:
        raise ValueError("what was trained inside has a marking")
    return component.marking


class _Joiner:
    """Completes what was made, each after its parents, which may be made in the same manifest."""

    def __init__(
        self, base: Release, held: Sequence[Release], made: Mapping[str, Made], levels: Sequence[str]
    ) -> None:
        self.base, self.held, self.made, self.levels = base, held, made, levels
        self.done: dict[str, Joined] = {}
        self.begun: set[str] = set()

    def complete(self, name: str) -> Joined:
        if name in self.done:
            return self.done[name]
        if name in self.begun:
            raise ManifestError(f"component {name} is among its own parents")
        self.begun.add(name)
        item = self.made[name]
        found = [(claim.relation, *self._find(name, claim)) for claim in item.parents]
        if not found and not item.component.data:
            raise ManifestError(
                f"component {name} has neither parents nor data", expected="`parents`, `data`, or both"
            )
        marking = _joined(
            [*(marking for _, _, marking, _ in found), *(data.marking for data in item.component.data)],
            self.levels,
            f"component {name}",
        )
        component = replace(
            item.component,
            marking=_raised(name, marking, item.marking, self.levels),
            parents=tuple(sorted(_lineage((relation, parent) for relation, parent, _, _ in found))),
        )
        requires = (Requirement(name, r.needs, r.version) for _, _, _, needs in found for r in needs)
        self.done[name] = Joined(component, tuple(dict.fromkeys(requires)))
        return self.done[name]

    def _find(self, name: str, claim: Claim) -> tuple[Component, Marking, tuple[Requirement, ...]]:
        """Return a parent, its marking, and what it requires."""
        if claim.name in self.made and claim.version in {None, self.made[claim.name].component.version}:
            joined = self.complete(claim.name)
            return joined.component, _own(joined.component), joined.requires
        for release in (self.base, *(self.held if claim.version is not None else ())):
            for component in release.components:
                if component.name == claim.name and claim.version in {None, component.version}:
                    requires = tuple(r for r in release.requires if r.component == component.folder)
                    return component, component.marking or release.marking, requires
        wanted = claim.name if claim.version is None else f"{claim.name}@{claim.version}"
        raise NotHeldError(
            f"component {name}: its parent {wanted} is not held",
            expected=f"a component of {self.base.label}"
            + ("" if claim.version is None else ", or of another installed release"),
        )


def _lineage(parents: Iterable[tuple[str, Component]]) -> Iterator[Parent]:
    """Yield parents, and what those that were trained inside come from, each once."""
    pairs = list(parents)
    listed = [Parent(relation, c.folder, c.version, c.digest) for relation, c in pairs]  # SPEC 8.6-11
    known = {(item.name, item.version, item.digest) for item in listed}
    yield from dict.fromkeys(listed)
    for _, parent in pairs:
        for above in parent.parents if source.is_inside(parent.source) else ():
            if (above.name, above.version, above.digest) not in known:
                known.add((above.name, above.version, above.digest))
                yield replace(above, relation=DERIVED)


def _joined(markings: Sequence[Marking], levels: Sequence[str], what: str) -> Marking:
    found = join(markings, levels)
    if found is None:
        raise MarkingError(
            f"the markings that {what} comes from have no order",
            expected=" < ".join(levels),
            found=", ".join(sorted({marking.level for marking in markings})),
        )
    return found


def _raised(name: str, least: Marking, stated: Marking | None, levels: Sequence[str]) -> Marking:
    """Return the marking of a component: its own, if it covers what it comes from.

    Raises:
        MarkingError: it does not.
    """
    if stated is None:
        return least
    if not covers(stated, least, levels):
        raise MarkingError(
            f"the marking of component {name} is below what it comes from",
            expected=f"at least {least}",
            found=str(stated),
            hint="leave `marking` out, or raise it",
        )
    return stated


def covers(marking: Marking, other: Marking, levels: Sequence[str]) -> bool:
    """Say whether what is marked ``other`` may be part of what is marked ``marking``, by the order of ``levels``."""
    both = join([marking, other], levels)
    return both is not None and _meaning(both) == _meaning(marking)


def _meaning(marking: Marking) -> tuple[str, frozenset[str], frozenset[str] | None]:
    return marking.level, marking.restricting, marking.admitted
