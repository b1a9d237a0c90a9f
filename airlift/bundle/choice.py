"""Choose among the variants of a release: one of each component that comes in several forms (SPEC 5.7). Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from airlift.bundle.component.component import Component
from airlift.bundle.component.variant import Rule, Variant, told
from airlift.bundle.manifest import Bundle
from airlift.bundle.own import Own, every
from airlift.bundle.release import Release


@dataclass(frozen=True, slots=True)
class Picked:
    """What rules say of the component ``of``: its variants, and those that the rule which decides fits."""

    of: str
    variants: tuple[Component, ...]
    fitting: tuple[Component, ...]

    @property
    def chosen(self) -> Component | None:
        """The variant that is chosen, None if no rule decides, or one that fits several."""
        return self.fitting[0] if len(self.fitting) == 1 else None


def pick(release: Release, rules: Sequence[Rule]) -> Iterator[Picked]:
    """Yield what rules say of each component of a release that comes in variants."""
    for of, variants in release.variants().items():
        pairs = [(item, item.variant) for item in variants if item.variant is not None]
        decided = ([item for item, variant in pairs if rule.fits(variant)] for rule in rules)
        yield Picked(of, variants, tuple(next(filter(None, decided), ())))


def choose(release: Release, rules: Sequence[Rule]) -> tuple[str, ...] | None:
    """Return the names of the variants that rules choose, sorted: none if there are none, None for no choice."""
    chosen = [picked.chosen for picked in pick(release, rules)]
    return None if None in chosen else tuple(sorted(item.name for item in chosen if item is not None))


def choose_some(release: Release, rules: Sequence[Rule]) -> tuple[str, ...]:
    """Return the names of the variants that rules choose, as far as they choose any."""
    return tuple(sorted(item.chosen.name for item in pick(release, rules) if item.chosen is not None))


def names(release: Release) -> frozenset[str]:
    """Return the names of all variants of a release."""
    return frozenset(item.name for items in release.variants().values() for item in items)


def describe(components: Sequence[Component]) -> str:
    """Return variants as people read them, each with its labels."""
    return "; ".join(f"{item.name} ({told(labels_of(item))})" for item in components)


def labels_of(component: Component) -> tuple[tuple[str, str], ...]:
    """Return the labels of a variant, none if it is none."""
    return component.variant.labels if component.variant is not None else ()


def rule_for(component: Component) -> Rule:
    """Return the rule that chooses this variant of its component."""
    variant = component.variant or Variant(component.name, ())
    return Rule(variant.labels, variant.of)


def carried(own: Own, release: Release) -> frozenset[str]:
    """Return the names of the variants of its release that a bundle carries for an enclave (SPEC 6.2-7)."""
    return frozenset(own.variants) or names(release)


def carried_part(own: Own, release: Release) -> Release:
    """Return the release without the variants that a bundle leaves out for an enclave."""
    return release.only(carried(own, release))


def carried_by_any(bundle: Bundle, release: Release) -> Release:
    """Return the release with the variants that a bundle carries for one enclave at least."""
    return release.only(frozenset[str]().union(*(carried(item, release) for item in every(bundle))))
