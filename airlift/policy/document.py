"""The policy of an enclave as a value, with a safe default for every key (SPEC 8.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airlift.bundle.component import variant
from airlift.bundle.component.component import NEW_KINDS
from airlift.bundle.fields import LEVELS, Marking
from airlift.bundle.manifest import ANY_ENCLAVE
from airlift.errors import MalformedError, ManifestError
from airlift.policy.demands import Bar, Demands, Quorum, keys_of, parse_demands
from airlift.policy.versions import check_specifier, check_version

DEFAULT_LEVELS = LEVELS
LOWEST = Marking(DEFAULT_LEVELS[0])
NEW_KEYS = frozenset(
    {
        "acceptance",
        "activation",
        "bar",
        "buckets",
        "expires_after_days",
        "files",
        "inventory",
        "register",
        "relay",
        "revoked",
        "variants",
        "waivers",
    }
)
"""What format 2 of the policy added."""


EVALUATION, SCAN = "evaluation", "scan"
DEFAULT_SECONDS, DEFAULT_MEMORY, DEFAULT_PROCESSES = 600, 16 << 30, 256
_UNITS = {"MiB": 1 << 20, "GiB": 1 << 30}

KIND_PREFIX = "kind:"
"""Before the name of a kind, where floors are given by name."""

REGISTRABLE = ("adapter", "model")
"""The kinds of which a component may be trained inside (SPEC 8.6-2)."""

FALL_BACK, WITHDRAW, REPORT = "fall-back", "withdraw", "report"


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


CONTENT = "content"
"""The gate that may stand in the place of a command: airlift's own, over the files of the release."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the enclave's owners: its words, and what it may take (seconds, bytes a process, processes).

    ``kind`` is that of the attestation which its result becomes, where it is one. ``gate`` is :data:`CONTENT` where
    airlift's own gate is asked instead; then there are no words.
    """

    name: str
    argv: tuple[str, ...]
    timeout: int = DEFAULT_SECONDS
    memory: int = DEFAULT_MEMORY
    processes: int = DEFAULT_PROCESSES
    kind: str = EVALUATION
    gate: str = ""


@dataclass(frozen=True, slots=True)
class SubEnclave:
    """An enclave that bundles are handed on to: its name, the file of its ledger's key, and what it may hold."""

    name: str
    ledger_key: str
    ceiling: Marking


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket that releases may be put into: ``s3://BUCKET/PREFIX``, and where it is asked of (SPEC 8.7-10)."""

    url: str
    endpoint: str
    region: str = "us-east-1"

    def covers(self, url: str) -> bool:
        """Say whether ``url`` is this one, or lies below it."""
        return url == self.url or url.startswith(f"{self.url}/")


@dataclass(frozen=True, slots=True)
class Policy:
    """What the enclave's owners decided; ``levels`` are low to high, ``keep`` counts releases.

    ``floors`` are versions by the name of a component, or by ``kind:KIND``; ``revoked`` is what becomes of an active
    release that was revoked: fall-back, withdraw or report. ``acceptance`` are commands that a release must pass,
    ``before`` and ``after`` those of a switch, ``files`` what they need beside the policy.
    ``strict_inventory``: a volume on which a desktop left something is refused. ``relay`` are sub-enclaves,
    ``register`` the kinds of components that may be trained inside, ``buckets`` where releases may be put,
    ``variants`` what chooses among variants.
    """

    enclave: str
    levels: tuple[str, ...] = DEFAULT_LEVELS
    ceiling: Marking = LOWEST
    attestations: tuple[tuple[str, Quorum], ...] = ()
    requires: tuple[Rule, ...] = ()
    floors: tuple[tuple[str, str], ...] = ()
    warn_after_days: int = 90
    refuse_new_after_days: int | None = None
    refuse_behind: int | None = None
    digest: str = "sha512"
    keep: int = 2
    strict_inventory: bool = False
    revoked: str = FALL_BACK
    acceptance: tuple[Command, ...] = ()
    before: tuple[Command, ...] = ()
    after: tuple[Command, ...] = ()
    files: tuple[str, ...] = ()
    waivers: tuple[Permission, ...] = ()
    bars: tuple[Bar, ...] = ()
    relay: tuple[SubEnclave, ...] = ()
    register: tuple[str, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    variants: tuple[variant.Rule, ...] = ()

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
    _check_order(levels)
    ceiling = marking.get("ceiling", {"level": levels[0]})
    if ceiling["level"] not in levels:
        raise ManifestError("policy: the ceiling is not one of the levels", found=ceiling["level"])
    staleness = document.get("staleness", {})
    demands = parse_demands(document)
    return Policy(
        enclave=document["enclave"],
        levels=levels,
        ceiling=Marking.from_authored(ceiling),
        attestations=demands.attestations,
        requires=tuple(_rule(item) for item in document.get("requires", [])),
        floors=tuple((name, _floor(text)) for name, text in sorted(document.get("floors", {}).items())),
        warn_after_days=staleness.get("warn_after_days", 90),
        refuse_new_after_days=staleness.get("refuse_new_after_days"),
        refuse_behind=staleness.get("refuse_behind"),
        digest=document.get("digest", "sha512"),
        keep=document.get("keep", 2),
        strict_inventory=document.get("inventory") == "strict",
        revoked=document.get("revoked", FALL_BACK),
        acceptance=parse_commands(document.get("acceptance", []), "acceptance"),
        before=parse_commands(document.get("activation", {}).get("before", []), "activation: before"),
        after=parse_commands(document.get("activation", {}).get("after", []), "activation: after"),
        files=tuple(document.get("files", [])),
        waivers=tuple(
            Permission(item["what"], item.get("component")) for item in document.get("waivers", [])
        ),
        bars=demands.bars,
        relay=tuple(_sub_enclave(name, item, levels, document["enclave"]) for name, item in _relay(document)),
        register=tuple(sorted(document.get("register", []))),
        buckets=_buckets(document),
        variants=tuple(_variant_rule(item) for item in document.get("variants", [])),
    )


def _variant_rule(item: Mapping[str, Any]) -> variant.Rule:
    try:
        return variant.rule_from_json(item, "policy: variants")
    except MalformedError as error:
        raise ManifestError(error.message, expected=error.expected, found=error.found) from error


def _check_order(levels: Sequence[str]) -> None:
    """Check that the levels whose order everybody knows have no other one here (SPEC 5.6-1)."""
    known = [level for level in levels if level in LEVELS]
    if known != sorted(known, key=LEVELS.index):
        raise ManifestError(
            "policy: levels have another order than everywhere else",
            expected=" < ".join(LEVELS),
            found=" < ".join(known),
            hint="list `levels` from low to high; others may stand anywhere among them",
        )


def _check_format(document: Mapping[str, Any]) -> None:
    """Refuse a key of a later format than the one that the policy states: an older airlift would pass it over."""
    by_kind = [name for name in document.get("floors", {}) if name.startswith(KIND_PREFIX)]
    more = {"refuse_behind"} & set(document.get("staleness", {}))
    kinds = {rule["kind"] for rule in document.get("requires", [])} & set(NEW_KINDS)
    new = sorted({*(NEW_KEYS & {*document, *keys_of(document)}), *by_kind, *more, *kinds})
    if document["airlift"] == 1 and new:
        raise ManifestError(
            f"policy: unknown {'kind' if new[0] in kinds else 'key'} {new[0]!r} in format 1",
            hint="write `airlift: 2` at the top: it is new in format 2",
        )


def parse_commands(items: Sequence[Mapping[str, Any]], what: str) -> tuple[Command, ...]:
    """Return the commands of a list (``what`` it is called) that is valid under its schema.

    Raises:
        ManifestError: two have one name, or one has words and a gate, or neither, or a gate and bounds.
    """
    found = tuple(_command(item, what) for item in items)
    if len({command.name for command in found}) != len(found):
        raise ManifestError(f"policy: two commands of {what} have one name")
    return found


def _command(item: Mapping[str, Any], what: str) -> Command:
    if ("command" in item) == ("gate" in item):
        raise ManifestError(
            f"policy: {item['name']} of {what} has {'both' if 'gate' in item else 'neither'}",
            expected="either 'command' or 'gate'",
        )
    if "gate" in item:
        idle = sorted(set(item) - {"name", "gate"})
        if idle:
            raise ManifestError(
                f"policy: {item['name']} of {what} has a gate, for which {idle[0]!r} means nothing"
            )
        return Command(item["name"], (), kind=SCAN, gate=item["gate"])
    return Command(
        name=item["name"],
        argv=tuple(item["command"]),
        timeout=item.get("timeout", DEFAULT_SECONDS),
        memory=_bytes(item["memory"]) if "memory" in item else DEFAULT_MEMORY,
        processes=item.get("processes", DEFAULT_PROCESSES),
        kind=item.get("kind", EVALUATION),
    )


def _relay(document: Mapping[str, Any]) -> Sequence[tuple[str, Mapping[str, Any]]]:
    return sorted(document.get("relay", {}).items())


def _sub_enclave(name: str, item: Mapping[str, Any], levels: Sequence[str], own: str) -> SubEnclave:
    ceiling = item["ceiling"]
    if name in {own, ANY_ENCLAVE}:
        raise ManifestError("policy: relay names what is no sub-enclave", found=name)
    if ceiling["level"] not in levels:
        raise ManifestError(f"policy: the ceiling of {name} is not one of the levels", found=ceiling["level"])
    return SubEnclave(name, item["ledger_key"], Marking.from_authored(ceiling))


def _buckets(document: Mapping[str, Any]) -> tuple[Bucket, ...]:
    found = tuple(Bucket(**item) for item in document.get("buckets", []))
    if len({bucket.url for bucket in found}) != len(found):
        raise ManifestError("policy: two buckets have the same URL")
    return found


def _bytes(text: str) -> int:
    return int(text[:-3]) * _UNITS[text[-3:]]


def _rule(item: Mapping[str, Any]) -> Rule:
    check_specifier(item["version"])
    return Rule(item["kind"], item["needs"], item["version"])


def _floor(version: str) -> str:
    check_version(version)
    return version
