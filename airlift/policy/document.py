"""The policy of an enclave as a value, with a safe default for every key (SPEC 8.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airlift.bundle.fields import LEVELS, Marking
from airlift.errors import ManifestError
from airlift.policy.demands import Bar, Demands, Quorum, keys_of, parse_demands
from airlift.policy.versions import check_specifier, check_version

DEFAULT_LEVELS = LEVELS
LOWEST = Marking(DEFAULT_LEVELS[0])
NEW_KEYS = frozenset({"bar", "expires_after_days", "inventory", "waivers"})
"""What format 2 of the policy added."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Every component of ``kind`` needs a component of the kind, or else named, ``needs`` within ``version``."""

    kind: str
    needs: str
    version: str


@dataclass(frozen=True, slots=True)
class Permission:
    """Waivers of the kind ``what`` may come in: for the component of that name, or for all if it is None."""

    what: str
    component: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What the enclave's owners decided; ``levels`` are low to high, ``keep`` counts releases.

    ``strict_inventory``: a volume on which a desktop left something is refused.
    """

    enclave: str
    levels: tuple[str, ...] = DEFAULT_LEVELS
    ceiling: Marking = LOWEST
    attestations: tuple[tuple[str, Quorum], ...] = ()
    requires: tuple[Rule, ...] = ()
    floors: tuple[tuple[str, str], ...] = ()
    warn_after_days: int = 90
    refuse_new_after_days: int | None = None
    digest: str = "sha512"
    keep: int = 2
    strict_inventory: bool = False
    waivers: tuple[Permission, ...] = ()
    bars: tuple[Bar, ...] = ()

    @property
    def demands(self) -> Demands:
        """Whose word a release needs before it runs."""
        return Demands(self.attestations, self.bars)

    def permits(self, what: str, component: str) -> bool:
        """Say whether a waiver of this kind may come in for this component."""
        return Permission(what) in self.waivers or Permission(what, component) in self.waivers


def parse_policy(document: Mapping[str, Any]) -> Policy:
    """Return the policy of a document that is valid under ``manifests/policy.schema.json``.

    Raises:
        ManifestError: its keys contradict each other, or a floor or range cannot be compared.
    """
    _check_format(document)
    marking = document.get("marking", {})
    levels = tuple(marking.get("levels", DEFAULT_LEVELS))
    ceiling = marking.get("ceiling", {"level": levels[0]})
    if ceiling["level"] not in levels:
        raise ManifestError("policy: the ceiling is not one of the levels", found=ceiling["level"])
    staleness = document.get("staleness", {})
    demands = parse_demands(document)
    return Policy(
        enclave=document["enclave"],
        levels=levels,
        ceiling=Marking(ceiling["level"], tuple(sorted(ceiling.get("caveats", [])))),
        attestations=demands.attestations,
        requires=tuple(_rule(item) for item in document.get("requires", [])),
        floors=tuple((name, _floor(text)) for name, text in sorted(document.get("floors", {}).items())),
        warn_after_days=staleness.get("warn_after_days", 90),
        refuse_new_after_days=staleness.get("refuse_new_after_days"),
        digest=document.get("digest", "sha512"),
        keep=document.get("keep", 2),
        strict_inventory=document.get("inventory") == "strict",
        waivers=tuple(
            Permission(item["what"], item.get("component")) for item in document.get("waivers", [])
        ),
        bars=demands.bars,
    )


def _check_format(document: Mapping[str, Any]) -> None:
    """Refuse a key of a later format than the one that the policy states: an older airlift would pass it over."""
    new = sorted(NEW_KEYS & {*document, *keys_of(document)})
    if document["airlift"] == 1 and new:
        raise ManifestError(
            f"policy: unknown key {new[0]!r} in format 1",
            hint="write `airlift: 2` at the top: it is new in format 2",
        )


def _rule(item: Mapping[str, Any]) -> Rule:
    check_specifier(item["version"])
    return Rule(item["kind"], item["needs"], item["version"])


def _floor(version: str) -> str:
    check_version(version)
    return version
