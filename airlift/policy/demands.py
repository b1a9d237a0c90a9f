"""What a policy demands before a release may run or be sent: quorums, and roles that bar each other (SPEC 8.2)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Any

from airlift.errors import ManifestError

BUILD, RELEASE = "build", "release"
ROLES = (BUILD, RELEASE)
"""The roles that somebody held when a release was made; the other words of a bar are kinds of attestation."""
MAX_COMBINATIONS = 10_000
"""How many numbers of people still wanted :mod:`airlift.policy.assignment` may have to look at (SPEC 8.2-22)."""

Bar = tuple[str, str]
"""Two words of which no holder may have both, sorted."""


@dataclass(frozen=True, slots=True)
class Quorum:
    """At least ``threshold`` holders of ``keys`` (files named in the policy) must have attested something.

    What they said counts for ``expires_after_days`` days, or for ever if that is None.
    """

    threshold: int
    keys: tuple[str, ...]
    expires_after_days: int | None = None


@dataclass(frozen=True, slots=True)
class Demands:
    """The quorums by kind of attestation, sorted, and the pairs of roles that no holder may have both of, sorted."""

    attestations: tuple[tuple[str, Quorum], ...] = ()
    bars: tuple[Bar, ...] = ()

    def barred(self, word: str) -> tuple[str, ...]:
        """Return the words that are barred against this one."""
        pairs = (bar for bar in self.bars if word in bar)
        return tuple(second if first == word else first for first, second in pairs)

    def key_files(self) -> tuple[str, ...]:
        """Return every key file that is named, once."""
        return tuple(sorted({key for _, quorum in self.attestations for key in quorum.keys}))

    def voters(self, key_ids: Mapping[str, str]) -> Mapping[str, frozenset[str]]:
        """Return for each kind the ids of the keys that count; ``key_ids`` are those of the files, by their names."""
        return {
            kind: frozenset(key_ids[file_name(key)] for key in quorum.keys)
            for kind, quorum in self.attestations
        }


def file_name(key_file: str) -> str:
    """Return the name of a key file without its folders: under it the key is kept."""
    return key_file.rpartition("/")[2]


def parse_demands(document: Mapping[str, Any]) -> Demands:
    """Return what a document demands whose ``attestations`` and ``bar`` are valid under its schema.

    Raises:
        ManifestError: a threshold cannot be met, or a bar bars nothing, or all of them are too many to be judged.
    """
    attestations = tuple(
        (kind, _quorum(kind, item)) for kind, item in sorted(document.get("attestations", {}).items())
    )
    demands = Demands(
        attestations, tuple(sorted({bar for words in document.get("bar", []) for bar in _bars(words)}))
    )
    asked = dict(attestations)
    for word in (word for bar in demands.bars for word in bar):
        if word not in {*ROLES, *asked}:
            raise ManifestError(
                f"policy: a bar names {word}, and no {word} attestations are asked for",
                expected=f"{' or '.join([*ROLES, *asked])}",
                hint=f"ask for them under `attestations`, or take {word} out of `bar`",
            )
    if combinations_of(demands) > MAX_COMBINATIONS:
        raise ManifestError(
            "policy: the thresholds of kinds that bar each other are too high to be judged",
            expected=f"a product of (threshold + 1) of at most {MAX_COMBINATIONS}",
            found=str(combinations_of(demands)),
        )
    return demands


def keys_of(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the words that stand in the quorums of a document, as its format number must allow them."""
    for quorum in document.get("attestations", {}).values():
        yield from quorum


def combinations_of(demands: Demands) -> int:
    """Return how many numbers of people still wanted there are, over the kinds that are barred against a kind."""
    asked = dict(demands.attestations)
    return prod(
        quorum.threshold + 1
        for kind, quorum in asked.items()
        if any(word in asked for word in demands.barred(kind))
    )


def _quorum(kind: str, item: Mapping[str, Any]) -> Quorum:
    if item["threshold"] > len(item["keys"]):
        raise ManifestError(f"policy: {kind} asks for more attestations than it has keys")
    return Quorum(item["threshold"], tuple(item["keys"]), item.get("expires_after_days"))


def _bars(words: list[str]) -> Iterator[Bar]:
    """Yield the pairs of a list of words; each is barred against every other."""
    yield from combinations(sorted(words), 2)
