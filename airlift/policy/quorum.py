"""Quorums: who counts, and whether they are enough, with no role in a hand that is barred from it (SPEC 4.5-13).

Every side counts this way: the gate of an enclave, the policy of a depot, and the evidence of a report. Values come
in that somebody else verified; errors are returned, not raised.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from airlift.bundle.fields import parse_time
from airlift.errors import QuorumError
from airlift.policy.assignment import can_fill
from airlift.policy.demands import BUILD, RELEASE, ROLES, Bar, Demands, Quorum
from airlift.policy.holders import Holder, group_keys, holder_of
from airlift.policy.ruling import QUORUM, Ruling
from airlift.policy.votes import Vote, last_words, made_at


@dataclass(frozen=True, slots=True)
class Case:
    """What is known about a release when it is judged; keys by their ids.

    ``votes`` are the statements about it by kind, with the time that each states; ``voters`` the keys that policy
    counts for each kind; ``roles`` the keys that hold each of :data:`~airlift.policy.demands.ROLES`. ``names`` are
    pairs of a key and a name that it has. ``issued`` are the issue times of the bundles of trusted keys, by the entry
    that committed them; ``reference`` is the reference time (SPEC 7.2-3).
    """

    votes: Mapping[str, Iterable[Vote]]
    voters: Mapping[str, frozenset[str]]
    reference: datetime
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    names: Iterable[tuple[str, str]] = ()
    issued: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Count:
    """What one quorum comes to: the holders who count, and the keys of theirs that policy names.

    ``expired`` are holders whose last word has expired, ``barred`` those who have a role that is barred against the
    kind, each with its bar. They do not count.
    """

    kind: str
    threshold: int
    holders: tuple[Holder, ...]
    keys: frozenset[str]
    expired: tuple[Holder, ...] = ()
    barred: tuple[tuple[Bar, Holder], ...] = ()

    @property
    def enough(self) -> bool:
        """Whether there are as many holders as policy asks for, whatever else they count in."""
        return len(self.holders) >= self.threshold

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why some do not count who would otherwise, for people."""
        bars = dict.fromkeys(bar for bar, _ in self.barred)
        return (
            *([f"{len(self.expired)} expired ({_names(self.expired)})"] if self.expired else ()),
            *(f"{_show(bar)} leaves out {_names(h for b, h in self.barred if b == bar)}" for bar in bars),
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """How a release stands: a count for each quorum, and the bars that are broken whoever is chosen.

    ``together`` are kinds that have enough each, but not if nobody may count in two that bar each other; ``both`` are
    bars of build and release with whoever has both.
    """

    counts: tuple[Count, ...]
    together: tuple[tuple[str, ...], ...] = ()
    both: tuple[tuple[Bar, tuple[Holder, ...]], ...] = ()

    def count(self, kind: str) -> Count | None:
        """Return what the quorum of a kind comes to, None if policy asks for none."""
        return next((count for count in self.counts if count.kind == kind), None)

    def is_met(self, kind: str) -> bool:
        """Say whether the quorum of a kind is met, also beside those that are barred against it."""
        count = self.count(kind)
        return count is not None and count.enough and not self.clashes(kind)

    def clashes(self, kind: str) -> tuple[str, ...]:
        """Return, for people, beside which other kinds this one has too few different holders."""
        clashing = (kinds for kinds in self.together if kind in kinds)
        return tuple(f"too few different holders for {' and '.join(kinds)}" for kinds in clashing)


def judge_quorums(demands: Demands, case: Case) -> Standing:
    """Return how a release stands with what a policy demands."""
    known = group_keys(case.names)
    roles = {role: frozenset(holder_of(key, known) for key in case.roles.get(role, ())) for role in ROLES}
    hands = _Hands(known, roles)
    counts = tuple(_count(demands, kind, quorum, case, hands) for kind, quorum in demands.attestations)
    return Standing(counts, tuple(_together(demands, counts)), tuple(_both(demands, hands)))


def quorum_rulings(demands: Demands, standing: Standing, how: Callable[[str], str]) -> Iterator[Ruling]:
    """Yield what quorums and bars say of a release; ``how`` says, for a kind, which command adds an attestation."""
    for count in standing.counts:
        if count.enough:
            yield Ruling(QUORUM, count.kind, f"{count.threshold}", f"{len(count.holders)}")
    for error in quorum_objections(demands, standing, how):
        yield Ruling.against(QUORUM, error.data.get("kind", "bar"), error)


def quorum_objections(demands: Demands, standing: Standing, how: Callable[[str], str]) -> list[QuorumError]:
    """Return what stands against a release; ``how`` says, for a kind, which command adds an attestation."""
    return [
        *(_lacking(count, how(count.kind)) for count in standing.counts if not count.enough),
        *(_clashing(demands, standing, kinds, how) for kinds in standing.together),
        *(
            QuorumError(
                f"{_names(holders)} built the release and released it: {_show(bar)}",
                expected="different holders",
                found=_names(holders),
                hint="bundle it with another key, or change `bar` in the policy",
            )
            for bar, holders in standing.both
        ),
    ]


# -- counting ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Hands:
    """The holders of keys by their ids, and those of roles."""

    known: Mapping[str, Holder]
    roles: Mapping[str, frozenset[Holder]]

    def of(self, keys: Iterable[str]) -> dict[str, Holder]:
        """Return the holders of these keys by what tells them apart."""
        return {_hand(holder): holder for holder in (holder_of(key, self.known) for key in keys)}


def _count(demands: Demands, kind: str, quorum: Quorum, case: Case, hands: _Hands) -> Count:
    """Return what a quorum comes to; who is barred is told of as barred, also if their word has expired."""
    voters = case.voters.get(kind, frozenset())
    holders = hands.of(voters)
    said = [_by_holder(vote, voters, case, hands) for vote in case.votes.get(kind, ())]
    words = {hand: word for hand, word in sorted(last_words(said).items()) if word.passes}
    barred = [
        (_bar(kind, role), hand)
        for role in demands.barred(kind)
        for hand in words
        if holders[hand] in hands.roles.get(role, ())
    ]
    left = {hand: word for hand, word in words.items() if hand not in {out for _, out in barred}}
    expired = [hand for hand, word in left.items() if _has_expired(word.time, quorum, case)]
    counted = [holders[hand] for hand in left if hand not in expired]
    return Count(
        kind,
        quorum.threshold,
        tuple(counted),
        frozenset(key for holder in counted for key in holder.keys & voters),
        tuple(holders[hand] for hand in expired),
        tuple((bar, holders[hand]) for bar, hand in barred),
    )


def _hand(holder: Holder) -> str:
    """Return what tells a holder from every other."""
    return f"{holder.name} {min(holder.keys)}"


def _by_holder(vote: Vote, voters: frozenset[str], case: Case, hands: _Hands) -> Vote:
    """Return a vote as its holders', through the keys that count, with the time that it was made."""
    holders = hands.of(key for key in vote.keys if key in voters)
    return replace(vote, keys=tuple(sorted(holders)), time=made_at(vote, case.issued))


def _has_expired(time: str | None, quorum: Quorum, case: Case) -> bool:
    """Say whether a word counts no more; one after the reference time has no age (SPEC 4.5-11, 8.2-21)."""
    if quorum.expires_after_days is None:
        return False
    return time is None or case.reference - parse_time(time) > timedelta(days=quorum.expires_after_days)


def _together(demands: Demands, counts: tuple[Count, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the kinds that have enough each, and cannot all be met if nobody counts in two that bar each other."""
    full = {count.kind: count for count in counts if count.enough}
    bars = frozenset(frozenset(bar) for bar in demands.bars if set(bar) <= set(full))
    for kinds in _connected(bars):
        wanted = {kind: full[kind].threshold for kind in kinds}
        candidates = {kind: frozenset(full[kind].holders) for kind in kinds}
        if not can_fill(wanted, candidates, bars):
            yield kinds


def _connected(bars: frozenset[frozenset[str]]) -> Iterator[tuple[str, ...]]:
    """Yield the kinds that hang together by bars, sorted."""
    left = set(bars)
    while left:
        group = set(min(left, key=sorted))
        while touching := {bar for bar in left if bar & group}:
            group |= set[str]().union(*touching)
            left -= touching
        yield tuple(sorted(group))


def _both(demands: Demands, hands: _Hands) -> Iterator[tuple[Bar, tuple[Holder, ...]]]:
    bar, holders = _bar(BUILD, RELEASE), hands.roles[BUILD] & hands.roles[RELEASE]
    if bar in demands.bars and holders:
        yield bar, tuple(sorted(holders, key=_hand))


# -- in words ------------------------------------------------------------------------------------------------------


def _lacking(count: Count, how: str) -> QuorumError:
    reasons = "; ".join(count.reasons)
    return QuorumError(
        f"the release lacks {count.kind} attestations" + (f": {reasons}" if reasons else ""),
        expected=f"{count.threshold}",
        found=f"{len(count.holders)}" + (f"; {reasons}" if reasons else ""),
        hint=how,
        data={"kind": count.kind},
    )


def _clashing(
    demands: Demands, standing: Standing, kinds: tuple[str, ...], how: Callable[[str], str]
) -> QuorumError:
    """Return the error about kinds that have enough each, but of too few different holders."""
    found = {count.kind: count for count in standing.counts if count.kind in kinds}
    bars = [bar for bar in demands.bars if set(bar) <= set(kinds)]
    shared = {h for a, b in bars for h in set(found[a].holders) & set(found[b].holders)}
    return QuorumError(
        f"too few different holders attest the release: {', '.join(map(_show, bars))}, and both by "
        f"{_names(sorted(shared, key=_hand))}",
        expected=" and ".join(f"{found[kind].threshold} for {kind}" for kind in kinds)
        + ", different holders",
        found="; ".join(f"{kind}: {_names(found[kind].holders)}" for kind in kinds),
        hint=how(kinds[0]),
    )


def _bar(one: str, other: str) -> Bar:
    return (one, other) if one < other else (other, one)


def _show(bar: Bar) -> str:
    """Return a bar as a policy has it: what was done first, first."""
    order = [BUILD, RELEASE]
    words = sorted(bar, key=lambda word: (word not in order, word != BUILD, word == "approval", word))
    return f"bar [{', '.join(words)}]"


def _names(holders: Iterable[Holder]) -> str:
    return ", ".join(holder.name for holder in holders)
