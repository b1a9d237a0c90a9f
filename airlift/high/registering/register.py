"""Register what was trained in the enclave: it joins a held release, and is installed as a new one (SPEC 8.6)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from airlift import authored, files
from airlift import progress as progress_module
from airlift.bundle import fields
from airlift.bundle import release as releases
from airlift.bundle.component import source
from airlift.bundle.component.component import Component
from airlift.bundle.release import Release
from airlift.errors import ExistsError, MalformedError, ManifestError, NotHeldError
from airlift.high.enclave import policy
from airlift.high.enclave.enclave import Enclave, Operator, release_ref
from airlift.high.enclave.recover import recover
from airlift.high.governance.choose import choose_held
from airlift.high.governance.gate import insist
from airlift.high.registering.copies import check_copies
from airlift.high.registering.gather import Gathered, gathering, outline
from airlift.high.registering.join import Joining, Made, join_release
from airlift.ledger.entries.registration import Registration
from airlift.ledger.entries.shape import NamedComponent
from airlift.ledger.state import State
from airlift.policy.document import Policy
from airlift.policy.objections import release_objections
from airlift.progress import Progress
from airlift.store.release_tree import lay_out

SCHEMA = "registration.schema.json"


@dataclass(frozen=True, slots=True)
class RegisterResult:
    """The release that was made of ``base``: its marking, what of it was trained inside, files and new bytes.

    ``already`` says that this very release was there before; ``entry`` is where it is recorded.
    """

    release: str
    digest: str
    base: str
    marking: Any
    registered: tuple[str, ...]
    components: tuple[Mapping[str, Any], ...]
    requires: tuple[Mapping[str, str], ...]
    files: int
    new_bytes: int
    skipped: tuple[str, ...]
    left_out: tuple[str, ...]
    unrecognised: tuple[str, ...]
    warnings: tuple[str, ...]
    already: bool
    entry: int | None
    recovered: tuple[str, ...] = ()


def register(
    enclave: Enclave,
    manifest: Path,
    *,
    operator: Operator,
    dry_run: bool = False,
    progress: Progress = progress_module.silent,
) -> RegisterResult:
    """Register what the YAML file ``manifest`` describes; nothing is activated.

    Raises:
        ManifestError, ForbiddenFileError, ExistsError: the manifest or a file is not good, or a name is taken.
        NotHeldError: the release that it joins, or a parent, is not held.
        RefusedError: policy does not permit its kind, its marking or a waiver, or a requirement is not met.
        UncheckedError: a file cannot be read, or changes meanwhile.
        StorageError: no space, I/O error; nothing was changed.
    """
    data = files.read_bounded(manifest, authored.MAX_BYTES)
    document = authored.load(str(manifest), data, SCHEMA)
    with nullcontext() if dry_run else enclave.lock():
        recovered = () if dry_run else recover(enclave, operator)
        state = enclave.state()
        held = [
            enclave.load_release(digest).only(state.held_variants(digest))
            for digest in reversed(state.installed)
        ]
        base, items = _base(enclave, document, state), document.get("components", ())
        base = choose_held(enclave, state, base)
        rules = policy.load(enclave, state)
        _check(enclave, state, _joined(document, base, held, outline(enclave, items), rules), rules)
        sizes = frozenset(size for release in held for size in release.contents().values())
        with gathering(enclave, items, manifest.parent, progress, sizes=sizes, keep=not dry_run) as gathered:
            release = _valid(_joined(document, base, held, gathered.made, rules))
            _check(enclave, state, release, rules)
            already = release.digest in state.installed
            entry = None if already or dry_run else _record(enclave, release, base, operator)
        return _result(release, base, gathered, already=already, entry=entry, recovered=recovered)


def _base(enclave: Enclave, document: Mapping[str, Any], state: State) -> Release:
    """Return the release that is joined: the active one unless told otherwise."""
    reference = document.get("from") or state.active
    if reference is None:
        raise NotHeldError(
            "no release is active that this could join",
            expected="'from': a held release",
            hint="name one: `from: NAME@VERSION`; see `airlift high list`",
        )
    return enclave.find_release(reference, state)


def _joined(
    document: Mapping[str, Any], base: Release, held: Sequence[Release], made: tuple[Made, ...], rules: Policy
) -> Release:
    """Return the release that comes of it, under its own name and version."""
    carried, without = tuple(document.get("carry", ())), tuple(document.get("without", ()))
    joined = join_release(base, held, Joining(made, carried, without), rules.levels)
    first = _label(made[0].component) if made else carried[0]
    version = document.get("version") or _version(base, first)
    return replace(joined, name=document.get("release", base.name), version=version)


def _valid(release: Release) -> Release:
    """Return the release, valid under its own format.

    Raises:
        ManifestError: it is not.
    """
    try:
        return releases.parse(releases.format(release))
    except MalformedError as error:
        raise ManifestError(error.message, expected=error.expected, found=error.found) from error


def _version(base: Release, first: str) -> str:
    """Return the version of a release whose author gives none: what it joins, and what joins it first."""
    version = (
        f"{base.version}{'.' if '+' in base.version else '+'}{first.replace('@', '.').replace('+', '.')}"
    )
    if not fields.VERSION.match(version):
        raise ManifestError(
            "the version that would be made of both is too long", found=version, hint="give one: `version`"
        )
    return version


def _label(component: Component) -> str:
    return f"{component.name}@{component.version}"


def registered(release: Release) -> tuple[Component, ...]:
    """Return the components of a release that were trained inside."""
    return tuple(item for item in release.components if source.is_registered(item.source))


# -- names that were given -----------------------------------------------------------------------------------------


def _check(enclave: Enclave, state: State, release: Release, rules: Policy) -> None:
    """Check that policy has nothing against a release, and that its names stand for nothing else (SPEC 8.6-3).

    It is asked twice: before any file is read, when what was trained inside has none, and when all were.

    Raises:
        RefusedError: policy has, or a file is known at a higher marking.
        ExistsError: a name does.
    """
    insist(release_objections(release, rules))
    imported = dict.fromkeys(bundle.release for bundle in state.bundles if bundle.release)
    new = {item.name: item for item in registered(release)}
    whole = all(item.files for item in new.values())
    known = tuple(_known(enclave, imported, release.digest))
    check_copies(new.values(), known, rules.levels)
    for other in known:
        if other.label == release.label and (whole or other.digest in imported):
            raise _taken(f"release {release.label} exists with other content", "give another `version`")
        for item in other.components:
            _check_component(item, new, imported=other.digest in imported)


def _known(enclave: Enclave, imported: Iterable[str], but: str) -> Iterator[Release]:
    """Yield every release that was imported or registered here, but the one with digest ``but``."""
    with enclave.ledger() as log:
        made = [entry.release for entry in log.entries(types=(Registration.TYPE,))]
    for digest in dict.fromkeys((*imported, *made)):
        if digest is not None and digest != but:
            yield enclave.load_release(digest)


def _check_component(item: Component, new: Mapping[str, Component], *, imported: bool) -> None:
    given = {item.name, item.folder, *item.replaces} & new.keys() if imported else set()
    if given:
        raise _taken(f"component {min(given)} is one of the release authority's", "give it a name of its own")
    mine = new.get(item.name)
    if mine and mine.files and mine.version == item.version and mine.digest != item.digest:
        raise _taken(f"component {_label(item)} exists with other content", "give it another version")


def _taken(message: str, hint: str) -> ExistsError:
    return ExistsError(message, hint=hint)


# -- the commit ----------------------------------------------------------------------------------------------------


def _record(enclave: Enclave, release: Release, base: Release, operator: Operator) -> int:
    """Lay the release out, keep its manifest, and append the entry, which is the commit point; return its index."""
    lay_out(enclave.content, enclave.release_path(release.digest, release.chosen), release)
    enclave.history.keep(releases.format(release))
    entry = enclave.record(
        operator,
        Registration(
            release=release_ref(release),
            base=release_ref(base),
            marking=release.marking,
            components=tuple(NamedComponent(c.name, c.kind, c.version, c.digest) for c in release.components),
            registered=tuple(item.name for item in registered(release)),
            variants=release.chosen,
        ),
        release=release.digest,
        contents=release.digests(),
    )
    return entry.index


def _result(
    release: Release,
    base: Release,
    gathered: Gathered,
    *,
    already: bool,
    entry: int | None,
    recovered: tuple[str, ...],
) -> RegisterResult:
    inside = registered(release)
    return RegisterResult(
        release=release.label,
        digest=release.digest,
        base=base.label,
        marking=release.marking.to_json(),
        registered=tuple(map(_label, inside)),
        components=tuple(
            {
                "name": c.name,
                "kind": c.kind,
                "version": c.version,
                "marking": str(c.marking or release.marking),
            }
            for c in inside
        ),
        requires=tuple(
            {"component": r.component, "needs": r.needs, "version": r.version}
            for r in release.requires
            if r.component in {c.name for c in inside}
        ),
        files=sum(len(item.component.files) for item in gathered.made),
        new_bytes=sum(gathered.new.values()),
        skipped=gathered.skipped,
        left_out=gathered.left_out,
        unrecognised=gathered.unrecognised,
        warnings=gathered.warnings,
        already=already,
        entry=entry,
        recovered=recovered,
    )
