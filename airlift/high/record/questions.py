"""Questions to the record of an enclave (its ledger and history), answered in plain values (SPEC 9.9).

Each answer comes with its :class:`Grounds`: the entries and documents that it says everything from, so that
:func:`prove_answer` can add what lets somebody check it alone (SPEC 9.11).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airlift.bundle import manifest, own
from airlift.bundle.component.component import Component
from airlift.bundle.fields import format_time
from airlift.bundle.manifest import Bundle
from airlift.bundle.release import MAX_BYTES, Release
from airlift.errors import AirliftError, NotHeldError
from airlift.high.enclave.enclave import Enclave
from airlift.ledger import details
from airlift.ledger.answers import answer_proof, lineage, questions
from airlift.ledger.answers.lineage import Node, Record
from airlift.ledger.answers.questions import Activation, Found
from airlift.ledger.entries.activations import SwitchCommit
from airlift.ledger.entries.attestation import RecordedAttestation
from airlift.ledger.entries.imports import ImportCommit, ImportPrepare
from airlift.ledger.entries.kinds import BRINGING
from airlift.ledger.entries.registration import Registration
from airlift.ledger.entries.shape import NamedComponent
from airlift.ledger.entry import Entry
from airlift.ledger.log import Log
from airlift.ledger.state import release_of

OLDEST, NEWEST = 4, 12
"""How many imports of what a subject names are told of: the first ones, and the last ones."""

MAX_BASES = 24
"""How many releases are loaded at most when their baselines are followed."""


@dataclass(frozen=True, slots=True)
class Grounds:
    """What an answer is made from: entries by index, and documents (manifests, attestations) by SHA-512."""

    entries: tuple[int, ...]
    documents: tuple[str, ...] = ()


def prove_answer(enclave: Enclave, grounds: Grounds, older: Iterable[bytes] = ()) -> dict[str, Any]:
    """Return the proof of what an answer is made from; see :mod:`airlift.ledger.answers.answer_proof`.

    Raises:
        UsageError: it is more than goes into one file.
        LedgerError: the record contradicts itself, or an older checkpoint.
    """
    documents = (enclave.history.load(digest, MAX_BYTES) for digest in dict.fromkeys(grounds.documents))
    with enclave.ledger() as log:
        return answer_proof.prove(log, grounds.entries, documents, older)


# -- lineage -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Traced:
    """The lineage of everything that a subject names; ``omitted`` imports between the first and last are left out."""

    nodes: tuple[Node, ...]
    omitted: int
    grounds: Grounds


def trace(enclave: Enclave, subject: str) -> Traced:
    """Return the lineage of everything that ``subject`` names.

    Raises:
        NotHeldError: nothing does.
    """
    record, omitted = load_record(enclave, subject)
    nodes = lineage.trace(record, subject)
    documents = (*record.releases, *record.bundles)
    return Traced(nodes, omitted, Grounds(tuple(e.index for e in record.entries), documents))


def load_record(enclave: Enclave, subject: str) -> tuple[Record, int]:
    """Return what the record has about a subject: manifests, verified by digest, and entries; and what was left out.

    Of the imports that name it, the first OLDEST and the last NEWEST are loaded, with their baselines.
    """
    with enclave.ledger() as log:
        named = questions.commits(log, subject)
        chosen = named if len(named) <= OLDEST + NEWEST else (*named[:OLDEST], *named[len(named) - NEWEST :])
        commits = {index: log.entry(index) for index in chosen}
        bundles = {
            _manifest(e): load_bundle(enclave, e) for e in commits.values() if e.type == ImportCommit.TYPE
        }
        _follow_bases(enclave, log, commits, bundles)
        entries = {e.index: e for commit in commits.values() for e in _about(log, commit)}
    ordered = [entries[index] for index in sorted(entries)]
    releases = {e.release: enclave.load_release(e.release) for e in commits.values() if e.release}
    return Record(releases, bundles, ordered), len(named) - len(chosen)


def _follow_bases(enclave: Enclave, log: Log, commits: dict[int, Entry], bundles: dict[str, Bundle]) -> None:
    """Add what brought the baselines, and what registered releases were made from, and theirs, up to a limit."""
    queue = [bundle.baseline.digest for bundle in bundles.values() if bundle.baseline]
    queue += [_base(entry) for entry in commits.values() if entry.type == Registration.TYPE]
    known = {commit.release for commit in commits.values()}
    for digest in queue:
        if digest in known or len(known) >= MAX_BASES:
            continue
        known.add(digest)
        for entry in log.entries(types=BRINGING, release=digest):
            commits[entry.index] = entry
            if entry.type == Registration.TYPE:
                queue.append(_base(entry))
            else:
                bundle = bundles[_manifest(entry)] = load_bundle(enclave, entry)
                queue += [bundle.baseline.digest] if bundle.baseline else []
            break


def _base(registration: Entry) -> str:
    return details.read(registration, Registration).base.digest


def _about(log: Log, commit: Entry) -> Iterator[Entry]:
    """Yield the entries of an import, or that of a registration, and what was attested of its release."""
    if commit.type == Registration.TYPE:
        yield commit
    else:
        for entry in log.entries(types=(ImportPrepare.TYPE, ImportCommit.TYPE), bundle=commit.bundle):
            if details.bundle_manifest(entry) == details.bundle_manifest(commit):
                yield entry
    if commit.release is not None:
        yield from log.entries(types=(RecordedAttestation.TYPE,), release=commit.release)


def load_bundle(enclave: Enclave, commit: Entry) -> Bundle:
    """Return the bundle that an import-commit entry brought, as this enclave took it."""
    bundle = manifest.parse(enclave.history.load(_manifest(commit), manifest.MAX_BYTES))
    return own.as_taken(bundle, enclave.name)


def _manifest(commit: Entry) -> str:
    return details.read(commit, ImportCommit).bundle_manifest


# -- what ran ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Active:
    """A period in which a release was active: its components, and the entries that began and ended it."""

    release: str
    digest: str
    since: dict[str, Any]
    until: dict[str, Any] | None
    components: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Periods:
    """The newest periods that answer a question, in order, and whether there are more before them."""

    periods: tuple[Active, ...]
    more: bool
    grounds: Grounds


def active_at(enclave: Enclave, moment: datetime) -> Periods:
    """Return what was active at ``moment``: one period.

    Raises:
        NotHeldError: nothing was.
    """
    text = format_time(moment)
    with enclave.ledger() as log:
        period = questions.active_at(log, text)
    if period is None:
        raise NotHeldError("nothing was active then", expected=text, hint="see `airlift provenance history`")
    return _periods(enclave, [period], more=False)


def active_during(enclave: Enclave, component: str, limit: int = 0) -> Periods:
    """Return when releases with a component (name, ``name@version`` or digest) were active, and what ran beside it.

    Raises:
        NotHeldError: no imported release has it.
    """
    with enclave.ledger() as log:
        candidates = _candidates(log, component)
        found = questions.activations_of(
            log,
            candidates,
            lambda release: _has(enclave, log, release, component),
            limit,
            ran=lambda since: _has_run(enclave, since, component),
        )
        if not found.periods and not any(_has(enclave, log, release, component) for release in candidates):
            raise NotHeldError(
                "no release that was imported has this component",
                found=ascii(component[:140]),
                hint="see `airlift high list` for components",
            )
    return _periods(enclave, found.periods, more=found.more)


def _ran(enclave: Enclave, since: Entry) -> Release:
    """Return the release that a switch made active, in the choice that it states."""
    return enclave.load_release(release_of(since)).only(details.read(since, SwitchCommit).variants)


def _has_run(enclave: Enclave, since: Entry, component: str) -> bool:
    """Say whether a component ran after a switch: a variant did only if it was chosen."""
    if not details.read(since, SwitchCommit).variants:
        return True
    return any(
        component in {item.folder, f"{item.folder}@{item.version}"} or _is(component, _named(item))
        for item in _ran(enclave, since).components
    )


def _named(item: Component) -> NamedComponent:
    return NamedComponent(item.name, item.kind, item.version, item.digest)


def _candidates(log: Log, component: str) -> tuple[str, ...]:
    """Return the releases that may have a component: those that mention it, or its name, and registered variants.

    An entry does not say ``name@version`` of what it has variants of, and a registration not even the name.
    """
    found = [*questions.releases(log, component), *questions.releases(log, component.partition("@")[0])]
    registered = log.entries(types=(Registration.TYPE,))
    found += [entry.release for entry in registered if entry.release and _has_variants(entry)]
    return tuple(dict.fromkeys(found))


def _has(enclave: Enclave, log: Log, release: str, component: str) -> bool:
    """Say whether a release that was brought in has a component of this name, label or digest, or variants of it."""
    entries = tuple(log.entries(types=BRINGING, release=release))
    if any(_is(component, item) for entry in entries for item in details.components(entry)):
        return True
    if not any(_has_variants(entry) for entry in entries):
        return False
    varied = (item for item in enclave.load_release(release).components if item.variant is not None)
    return any(component in {item.folder, f"{item.folder}@{item.version}"} for item in varied)


def _has_variants(entry: Entry) -> bool:
    """Say whether an entry brought a release that has variants."""
    if entry.type == Registration.TYPE:
        return bool(details.read(entry, Registration).variants)
    return details.variants(entry) is not None


def _is(component: str, item: NamedComponent) -> bool:
    named = component in {item.name, item.label}
    return named or (len(component) >= lineage.PREFIX_HEX and item.digest.startswith(component.lower()))


def _periods(enclave: Enclave, periods: Sequence[Activation], *, more: bool) -> Periods:
    entries = [entry.index for p in periods for entry in (p.since, p.until) if entry is not None]
    documents = tuple(period.release for period in periods)
    return Periods(
        tuple(_active(enclave, period) for period in periods), more, Grounds(tuple(entries), documents)
    )


def _active(enclave: Enclave, period: Activation) -> Active:
    release = _ran(enclave, period.since)
    return Active(
        release=release.label,
        digest=release.digest,
        since=period.since.to_json(),
        until=period.until.to_json() if period.until else None,
        components=tuple(
            {"name": c.name, "kind": c.kind, "version": c.version, "digest": c.digest}
            for c in release.components
        ),
    )


# -- entries -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entries:
    """The newest entries that answer a question, in order; ``more`` says that there are others before them."""

    entries: tuple[Entry, ...]
    more: bool

    @property
    def grounds(self) -> Grounds:
        """The entries themselves."""
        return Grounds(tuple(entry.index for entry in self.entries))


@dataclass(frozen=True, slots=True)
class BroughtIn:
    """What came in through imports among the entries: bundles, releases and components by name."""

    bundles: tuple[str, ...]
    releases: tuple[str, ...]
    components: tuple[str, ...]


def history(
    enclave: Enclave,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    types: Sequence[str] = (),
    component: str | None = None,
    limit: int = 0,
) -> Entries:
    """Return the newest entries of a span of time, of some types, about one component."""
    with enclave.ledger() as log:
        found = questions.history(
            log,
            since=format_time(since) if since else None,
            until=format_time(until) if until else None,
            types=types,
            component=component,
            limit=limit,
        )
    return _entries(found)


def mentions(enclave: Enclave, text: str, *, types: Sequence[str] = (), limit: int = 0) -> Entries:
    """Return the newest entries that mention ``text``: digest, key, holder, component, release, bundle."""
    with enclave.ledger() as log:
        return _entries(questions.where(log, text, types=types, limit=limit))


def names_of(enclave: Enclave, entries: Iterable[Entry]) -> dict[str, str]:
    """Return what people call the releases (by digest) of entries: those whose manifests can be read."""
    found = {}
    for digest in dict.fromkeys(entry.release for entry in entries if entry.release):
        with suppress(AirliftError):
            found[digest] = enclave.load_release(digest).label
    return found


def brought_in(entries: Iterable[Entry]) -> BroughtIn:
    """Return what came in through the imports among ``entries``; each once, in order."""
    commits = [
        (entry, details.read(entry, ImportCommit)) for entry in entries if entry.type == ImportCommit.TYPE
    ]
    return BroughtIn(
        _each(entry.bundle for entry, _ in commits if entry.bundle),
        _each(said.release.label for _, said in commits if said.release),
        _each(item.label for _, said in commits for item in said.components),
    )


def _each(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _entries(found: Found) -> Entries:
    return Entries(found.entries, found.more)
