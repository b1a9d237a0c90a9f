"""Which variants of a release go along in a bundle, and which of its baseline's count as held (SPEC L4.19)."""

from collections.abc import Sequence

from airlift.bundle import choice
from airlift.bundle.component.variant import Rule
from airlift.bundle.release import Release
from airlift.errors import UsageError
from airlift.low.depot import enclaves
from airlift.low.depot.depot import Depot


def find_rules(depot: Depot, enclave: str | None, asked: Sequence[Rule]) -> tuple[Rule, ...]:
    """Return the rules that choose: those that were asked for, else those that an enclave's policy is known by."""
    if asked or enclave is None or enclave not in enclaves.names(depot):
        return tuple(asked)
    return enclaves.load(depot, enclave).variants


def carried_part(target: Release, rules: Sequence[Rule], asked: Sequence[Rule]) -> Release:
    """Return the release in the choice that rules make, with all its variants if there are no rules.

    Raises:
        UsageError: they make no choice, or one of those that were ``asked`` for is about nothing that has variants.
    """
    varied = target.variants()
    for rule in asked:
        if rule.component is not None and rule.component not in varied:
            raise UsageError(
                f"release {target.label} has no variants of {rule.component}",
                expected=", ".join(varied) or "no choice: it has no variants at all",
            )
    if not rules:
        return target
    for picked in choice.pick(target, rules):
        if picked.chosen is None:
            raise _unclear(target, picked)
    return target.only(choice.choose_some(target, rules))


def _unclear(target: Release, picked: choice.Picked) -> UsageError:
    several = picked.fitting
    example = choice.rule_for((several or picked.variants)[0])
    return UsageError(
        f"the choice fits {'more than one' if several else 'none'} of the variants of {picked.of} in {target.label}",
        expected="exactly one",
        found=choice.describe(several or picked.variants),
        hint=f"say which, before other choices: `--variant {example}`",
    )


def held_part(depot: Depot, baseline: Release, enclave: str | None, rules: Sequence[Rule]) -> Release:
    """Return the baseline with those of its variants that count as held.

    They are what the enclave's receipt says; else what the rules choose, which an earlier bundle will have brought.
    """
    if not baseline.variants():
        return baseline
    known = enclaves.load(depot, enclave).acknowledged if enclave in enclaves.names(depot) and enclave else ()
    stated = next((item.variants for item in reversed(known) if item.release == baseline.digest), None)
    return baseline.only(choice.choose_some(baseline, rules) if stated is None else stated)
