"""Choose: the release in the choice that policy makes of its variants, and what of it is at hand (SPEC 7.14)."""

from airlift.bundle import choice
from airlift.bundle.release import Release
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave
from airlift.high.verification.verified import VerifiedBundle
from airlift.ledger.state import State
from airlift.policy.document import Policy
from airlift.policy.ruling import Ruling, refusals
from airlift.policy.variants import variant_rulings


def held_variants(enclave: Enclave, release: Release) -> frozenset[str]:
    """Return the names of the variants of which every file is held."""
    return frozenset(
        item.name
        for variants in release.variants().values()
        for item in variants
        if all(enclave.content.holds(entry.sha512, entry.size) for entry in item.files)
    )


def rule_variants(
    enclave: Enclave, release: Release | None, rules: Policy, verified: VerifiedBundle | None = None
) -> tuple[Ruling, ...]:
    """Return what policy says of the variants of a release; ``verified`` is a bundle that may bring them."""
    if release is None or not release.variants():
        return ()
    there = held_variants(enclave, release)
    if verified is not None and verified.release is not None and verified.release.digest == release.digest:
        there |= choice.carried(verified.own, release)
    return tuple(variant_rulings(release, rules, there))


def choose(enclave: Enclave, state: State, release: Release) -> Release:
    """Return the release in the choice that policy makes, whether what it chooses is held or not.

    Raises:
        VariantError: policy makes none.
    """
    if not release.variants():
        return release
    rules = policy.load(enclave, state)
    chosen = choice.choose(release, rules.variants)
    if chosen is None:
        raise refusals(variant_rulings(release, rules, choice.names(release)))[0]
    return release.only(chosen)


def choose_held(enclave: Enclave, state: State, release: Release) -> Release:
    """Return the release in the choice that policy makes, of which everything is held.

    Raises:
        VariantError: policy makes none, or one of what it chooses is not held.
    """
    for refusal in refusals(rule_variants(enclave, release, policy.load(enclave, state))):
        raise refusal
    return choose(enclave, state, release)
