"""Which variants of a release policy chooses, and whether they are there to be run (SPEC 7.14, 8.2-26). Pure."""

from collections.abc import Collection, Iterator

from airlift.bundle import choice
from airlift.bundle.choice import Picked
from airlift.bundle.component.component import Component
from airlift.bundle.release import Release
from airlift.errors import VariantError
from airlift.policy.document import Policy
from airlift.policy.ruling import NOTHING, VARIANT, Ruling


def variant_rulings(release: Release | None, policy: Policy, there: Collection[str]) -> Iterator[Ruling]:
    """Yield what policy says of each component in variants; ``there`` are the names of those that are at hand."""
    for picked in choice.pick(release, policy.variants) if release is not None else ():
        chosen, refusal = picked.chosen, None
        if chosen is None:
            refusal = _unclear(picked)
        elif chosen.name not in there:
            refusal = _absent(picked, chosen, there, policy, release)
        expected = choice.describe([chosen]) if chosen is not None else "one variant that policy chooses"
        found = ", ".join(item.name for item in picked.variants if item.name in there) or NOTHING
        yield Ruling(VARIANT, f"component {picked.of}", expected, found, refusal)


def _unclear(picked: Picked) -> VariantError:
    several, example = picked.fitting, choice.rule_for((picked.fitting or picked.variants)[0])
    labels = ", ".join(f"{key}: {value}" for key, value in example.labels)
    return VariantError(
        f"policy chooses {'more than one' if several else 'none'} of the variants of component {picked.of}",
        expected=f"a rule that one of them fits: `variants: [{{component: {picked.of}, labels: {{{labels}}}}}]`",
        found=choice.describe(several or picked.variants),
        hint="say which in the policy, before its other rules, and put it in force: `airlift high policy set FILE`",
    )


def _absent(
    picked: Picked, chosen: Component, there: Collection[str], policy: Policy, release: Release | None
) -> VariantError:
    label = release.label if release is not None else "RELEASE"
    return VariantError(
        f"policy chooses {chosen.name} of the variants of component {picked.of}, which is not at hand",
        expected=choice.describe([chosen]),
        found=choice.describe([item for item in picked.variants if item.name in there]) or NOTHING,
        hint=f"ask the low side for it: `airlift low bundle {label} --for {policy.enclave} "
        f"--variant {choice.rule_for(chosen)}`; or choose another: `airlift high policy set FILE`",
    )
