"""Questions to a log, answered from its index: no entry is read that is not part of the answer (SPEC 9.9).

Each answer is the newest ``limit`` of what going through all entries would give, in order: ``tests/support/scan.py``
does go through them, and the property tests hold the two against each other. Times are what the enclave's clock said;
they may run backwards.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from airlift.ledger import details, terms
from airlift.ledger.entries.kinds import BRINGING, ENDS, SWITCHES
from airlift.ledger.entry import Entry
from airlift.ledger.log import BATCH, CONTENT_BYTES, Log
from airlift.ledger.state import release_of

FEW = 64
"""Up to how many releases are looked up one by one instead of going through the newest entries."""


@dataclass(frozen=True, slots=True)
class Activation:
    """A release was active from entry ``since`` until entry ``until`` (None: it still is)."""

    release: str
    since: Entry
    until: Entry | None


@dataclass(frozen=True, slots=True)
class Found:
    """The newest entries that answer a question, in order, and whether there are more before them."""

    entries: tuple[Entry, ...]
    more: bool


def history(
    log: Log,
    *,
    since: str | None = None,
    until: str | None = None,
    types: Sequence[str] = (),
    component: str | None = None,
    limit: int = 0,
) -> Found:
    """Return the entries of ``[since, until]`` (times), of one of ``types``, about a component; 0: no limit."""
    indices = _of_component(log, component) if component is not None else _all(log, since, until, types)

    def fits(entry: Entry) -> bool:
        return (
            (since is None or entry.time >= since)
            and (until is None or entry.time <= until)
            and (not types or entry.type in types)
        )

    return _newest(log, indices, fits, limit)


def where(log: Log, text: str, *, types: Sequence[str] = (), limit: int = 0) -> Found:
    """Return the entries that mention ``text``: a whole string, ``name@version``, or 8 or more hex digits."""
    rows = log.query(
        "SELECT DISTINCT idx FROM terms WHERE term >= ? AND term < ? ORDER BY idx DESC", terms.bounds(text)
    )
    indices = (row[0] for row in rows)
    return _newest(log, indices, lambda e: terms.matches(e, text) and (not types or e.type in types), limit)


def active_at(log: Log, time: str) -> Activation | None:
    """Return what was active at ``time`` (RFC 3339, UTC, whole seconds): the last switch that says no later time.

    None if it is a withdrawal, or there is none.
    """
    marks = ", ".join("?" * len(ENDS))
    rows = log.query(
        f"SELECT MAX(idx) FROM entries WHERE type IN ({marks}) AND time <= ?",  # noqa: S608 - placeholders only
        (*ENDS, time),
    )
    since = log.entry(rows[0][0]) if rows[0][0] is not None else None
    if since is None or since.type not in SWITCHES:
        return None
    return Activation(release_of(since), since, _next_switch(log, since.index))


@dataclass(frozen=True, slots=True)
class Periods:
    """The newest periods that answer a question, in order, and whether there are more before them."""

    periods: tuple[Activation, ...]
    more: bool


def releases(log: Log, subject: str) -> tuple[str, ...]:
    """Return the releases (digests) of the entries that brought one and mention ``subject``, each once."""
    rows = log.query(
        "SELECT DISTINCT e.release FROM terms t JOIN entries e ON e.idx = t.idx WHERE t.term >= ? AND t.term < ?"
        " AND e.type IN (?, ?) AND e.release IS NOT NULL",
        (*terms.bounds(subject), *BRINGING),
    )
    return tuple(row[0].decode() for row in rows)


def activations_of(
    log: Log,
    candidates: Sequence[str],
    fits: Callable[[str], bool],
    limit: int = 0,
    *,
    ran: Callable[[Entry], bool] = lambda _since: True,
) -> Periods:
    """Return the newest periods in which one of the ``candidates`` that fit was active, in order.

    ``ran`` says of the entry that began a period whether what is asked for ran then.
    """
    judged: dict[str, bool] = {}
    found: list[Activation] = []
    for index, release in _switches(log, candidates):
        if release not in judged:
            judged[release] = fits(release)
        if judged[release] and ran(entry := log.entry(index)):
            if limit and len(found) == limit:
                return Periods(tuple(reversed(found)), more=True)
            found.append(Activation(release, entry, _next_switch(log, index)))
    return Periods(tuple(reversed(found)), more=False)


def _switches(log: Log, candidates: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield (index, release) of the switches to one of ``candidates``, newest first."""
    if len(candidates) <= FEW:
        statement = "SELECT idx FROM entries WHERE type IN (?, ?) AND release = ?"
        rows = ((row[0], to) for to in candidates for row in log.query(statement, (*SWITCHES, to)))
        yield from sorted(rows, reverse=True)
        return
    wanted = set(candidates)
    indices = [row[0] for row in log.query("SELECT idx FROM entries WHERE type IN (?, ?)", SWITCHES)]
    indices.sort(reverse=True)
    for start in range(0, len(indices), BATCH):
        page = indices[start : start + BATCH]
        for index, raw in log.query(  # +type: go through the page's rows, not through the index of all types
            "SELECT idx, release FROM entries WHERE idx >= ? AND idx <= ? AND +type IN (?, ?) ORDER BY idx DESC",
            (page[-1], page[0], *SWITCHES),
        ):
            release = raw.decode() if raw is not None else ""
            if release in wanted:
                yield index, release


def commits(log: Log, subject: str) -> tuple[int, ...]:
    """Return the entries of imports and registrations that mention ``subject``, or bring a file with this digest."""
    rows = log.query(
        "SELECT DISTINCT t.idx FROM terms t JOIN entries e ON e.idx = t.idx"
        " WHERE t.term >= ? AND t.term < ? AND e.type IN (?, ?)",
        (*terms.bounds(subject), *BRINGING),
    )
    sought = terms.normalise(subject)
    if terms.is_prefix(sought):
        rows += log.query(
            "SELECT DISTINCT idx FROM contents WHERE digest >= ? AND digest < ?", _blobs(sought)
        )
    return tuple(sorted({row[0] for row in rows}))


def lists_component(entry: Entry, component: str) -> bool:
    """Say whether an entry brought a component of that name, ``name@version`` or digest, or variants of it."""
    said = details.variants(entry)
    return (said is not None and component in said.of) or any(
        component in (item.name, item.label, item.digest) for item in details.components(entry)
    )


# -- inside --------------------------------------------------------------------------------------------------------


def _blobs(prefix: str) -> tuple[bytes, bytes]:
    """Return the half-open range of cut digests that begin with hex digits; an odd last digit is left out."""
    low = bytes.fromhex(prefix[: len(prefix) // 2 * 2])[:CONTENT_BYTES]
    return low, low + b"\xff" * (CONTENT_BYTES + 1)


def _next_switch(log: Log, index: int) -> Entry | None:
    rows = log.query("SELECT MIN(idx) FROM entries WHERE type IN (?, ?, ?) AND idx > ?", (*ENDS, index))
    return log.entry(rows[0][0]) if rows[0][0] is not None else None


def _all(log: Log, since: str | None, until: str | None, types: Sequence[str]) -> Iterator[int]:
    """Yield the entries of a span of time, newest first, from the index alone."""
    if since is until is None and not types:
        yield from range(log.size - 1, -1, -1)
        return
    clause, values = "time >= ? AND time <= ?", [since or "", until or "~"]
    if types:
        clause += f" AND type IN ({', '.join('?' * len(types))})"
        values += types
    rows = log.query(f"SELECT idx FROM entries WHERE {clause} ORDER BY idx DESC", values)  # noqa: S608
    yield from (row[0] for row in rows)


def _of_component(log: Log, component: str) -> Iterator[int]:
    """Yield the entries about a component, newest first: those that list it, and later ones about such a release."""
    low, high = component[: terms.CUT], component[: terms.CUT] + "\0"
    rows = log.query(
        "SELECT t.idx, e.release FROM terms t JOIN entries e ON e.idx = t.idx WHERE t.term >= ? AND t.term < ?",
        (low, high),
    )
    candidates = {index for index, _ in rows}
    releases = {release.decode(): None for _, release in rows if release is not None}
    listed: dict[str, int] = {}

    def lists(release: str) -> int:
        """Return the first entry about a release that lists the component, the end of the log if none does."""
        if release not in listed:
            about = (index for (index,) in log.query("SELECT idx FROM entries WHERE release = ?", (release,)))
            own = (i for i in sorted(about) if i in candidates)
            listed[release] = next((i for i in own if lists_component(log.entry(i), component)), log.size)
        return listed[release]

    for index, release in _about(log, releases, candidates):
        if (release in releases and index >= lists(release or "")) or (
            index in candidates and lists_component(log.entry(index), component)
        ):
            yield index


def _about(
    log: Log, releases: Collection[str], candidates: Collection[int]
) -> Iterator[tuple[int, str | None]]:
    """Yield (index, release) of entries, newest first: the candidates, and all that are about one of the releases."""
    if len(releases) <= FEW:
        found: dict[int, str | None] = dict.fromkeys(candidates)
        for about in releases:
            rows = log.query("SELECT idx FROM entries WHERE release = ?", (about,))
            found |= {index: about for (index,) in rows}
        yield from sorted(found.items(), key=lambda item: item[0], reverse=True)
        return
    end = log.size
    while rows := log.query(
        "SELECT idx, release FROM entries WHERE idx < ? ORDER BY idx DESC LIMIT ?", (end, BATCH)
    ):
        for index, raw in rows:
            release = raw.decode() if raw is not None else None
            if index in candidates or release in releases:
                yield index, release
        end = rows[-1][0]


def _newest(log: Log, indices: Iterator[int], fits: Callable[[Entry], bool], limit: int) -> Found:
    """Return the newest ``limit`` entries among ``indices`` (newest first) that fit, in order."""
    found: list[Entry] = []
    for index in indices:
        entry = log.entry(index)
        if fits(entry):
            if limit and len(found) == limit:
                return Found(tuple(reversed(found)), more=True)
            found.append(entry)
    return Found(tuple(reversed(found)), more=False)
