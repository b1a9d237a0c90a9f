"""Export an installed release in a layout, once or so that it follows what is active (SPEC 8.7)."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from airlift import files
from airlift.bundle.release import Release
from airlift.errors import ExistsError, NotHeldError, UsageError
from airlift.high.enclave.enclave import Enclave, Operator, release_ref
from airlift.high.enclave.recover import recover
from airlift.high.enclave.switching import follow as following
from airlift.high.governance import gate
from airlift.high.governance.choose import choose_held
from airlift.layouts.build import Built, sizes
from airlift.layouts.compare import differences
from airlift.layouts.layouts import Choice, lay_out, plan_of
from airlift.layouts.plan import Linked, Plan
from airlift.ledger.entries.exports import Export, Unfollow
from airlift.ledger.state import State
from airlift.progress import Progress, silent
from airlift.store.whole_folders import building, check_free

ACTIVE = "active"
"""What stands for the release that is active."""
MAX_OUTPUT = 1024


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What is served where (``output`` is absolute), and of how many files and bytes.

    Bytes are linked to the enclave's content, copied, or were written anew. ``already`` says that it was served so.
    """

    release: str
    digest: str
    layout: str
    output: str
    follow: bool
    files: int
    pointers: int
    linked_bytes: int
    copied_bytes: int
    written_bytes: int
    already: bool = False
    recovered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unfollowed:
    """What followed at ``output``, and does no more; ``layout`` is its layout."""

    output: str
    layout: str


@dataclass(frozen=True, slots=True)
class Job:
    """What to serve (a release by ``name@version``, digest or ``active``), as what, where, and whether it follows."""

    reference: str
    choice: Choice
    output: Path
    follow: bool = False


def export(
    enclave: Enclave,
    job: Job,
    *,
    operator: Operator,
    dry_run: bool = False,
    progress: Progress = silent,
) -> ExportResult:
    """Serve an installed release in a layout.

    Raises:
        UsageError: another release than ``active`` is to follow, or ``output`` is in the enclave.
        LayoutError: the release has no such component, or cannot be served so.
        ExistsError: something else stands at ``output``.
        NotHeldError: the release is not installed, or none is active.
        VariantError: policy chooses none of its variants, or one that is not held.
        RefusedError: policy would not let it run.
        ContentDamagedError, StorageError: content is damaged, or the tree cannot be written.
    """
    if job.follow and job.reference != ACTIVE:
        raise UsageError(
            "only what is active can be followed", hint="name `active` in the place of the release"
        )
    place, choice = _placed(enclave, job.output), job.choice
    with nullcontext() if dry_run else enclave.lock():
        recovered = () if dry_run else recover(enclave, operator)
        state = enclave.state()
        release = find(enclave, job.reference, state, operator.now)
        wanted = Export(
            release_ref(release), choice.layout, str(place), job.follow, choice.components, dict(choice.names)
        )
        work = _Work(enclave, state, release, choice, wanted, operator, progress)
        work.check_place()
        if dry_run:
            return work.result(_foreseen(work.plan(), enclave, place))
        return work.follow(recovered) if job.follow else work.once(recovered)


def unfollow(enclave: Enclave, output: Path, *, operator: Operator, dry_run: bool = False) -> Unfollowed:
    """Let what is served at ``output`` follow no more; what stands there stays.

    Raises:
        NotHeldError: nothing follows there.
    """
    place = str(output.absolute())
    with nullcontext() if dry_run else enclave.lock():
        if not dry_run:
            recover(enclave, operator)
        state = enclave.state()
        found = [item for item in state.follows if item.output in {place, _resolved(output)}]
        if not found:
            known = ", ".join(item.output for item in state.follows)
            raise NotHeldError(
                f"nothing follows at {place}",
                expected=known or "an export with --follow",
                hint="see `airlift high status`",
            )
        if not dry_run:
            enclave.record(operator, Unfollow(found[0].output))
        return Unfollowed(found[0].output, found[0].layout)


@dataclass(frozen=True, slots=True)
class _Work:
    enclave: Enclave
    state: State
    release: Release
    choice: Choice
    wanted: Export
    operator: Operator
    progress: Progress

    @property
    def place(self) -> Path:
        return Path(self.wanted.output)

    def plan(self) -> Plan:
        return plan_of(self.choice, self.release, self.enclave.content)

    def check_place(self) -> None:
        """Check that nothing stands there, or what airlift lets follow."""
        followed = any(item.output == self.wanted.output for item in self.state.follows)
        if followed and self.wanted.follow:
            return
        if followed or self.place.is_symlink():
            hint = f"end it: airlift high unfollow {self.place}" if followed else "choose another place"
            raise ExistsError(f"{self.place} is a link", hint=hint)
        hint = "choose a place where nothing stands yet; what follows cannot take a folder's place"
        check_free(self.place, hint)
        if self.wanted.follow and self.place.exists():
            raise ExistsError(f"{self.place} is a folder, and a link is to stand there", hint=hint)

    def once(self, recovered: tuple[str, ...]) -> ExportResult:
        with building(self.place) as temporary:
            built = lay_out(self.choice, self.release, self.enclave.content, temporary, self.progress)
            self.record()
        return self.result(built, recovered=recovered)

    def follow(self, recovered: tuple[str, ...]) -> ExportResult:
        digest, chosen = self.release.digest, self.release.chosen
        tree = following.tree_of(self.wanted, digest, chosen)
        known = any(_same(item, self.wanted) for item in self.state.follows)
        plan = self.plan() if tree.is_dir() else None
        if plan is not None and (not known or differences(plan, self.enclave.content, tree)):
            files.remove(tree)  # nobody vouches for it, or it was changed
        with _made(tree.parent):
            built = following.build_tree(self.enclave, self.wanted, digest, chosen, self.progress)
        if not known:
            self.record()
        now = self.enclave.state()
        failed = following.point(now, now.active, now.chosen).get(self.wanted.output)
        if failed is not None:
            raise failed
        following.tidy(now)
        already = known and built is None
        return self.result(
            built or _foreseen(plan or self.plan(), self.enclave, tree), already=already, recovered=recovered
        )

    def record(self) -> None:
        self.enclave.record(self.operator, self.wanted, release=self.release.digest)

    def result(self, built: Built, *, already: bool = False, recovered: tuple[str, ...] = ()) -> ExportResult:
        wanted = self.wanted
        return ExportResult(
            release=self.release.label,
            digest=self.release.digest,
            layout=wanted.layout,
            output=wanted.output,
            follow=wanted.follow,
            already=already,
            recovered=recovered,
            **asdict(built),
        )


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder; if the body fails, it is there only if it was before."""
    new = not folder.is_dir()
    files.make_folder(folder)
    try:
        yield
    except BaseException:
        if new:
            files.remove(folder)
        raise


def _same(one: Export, other: Export) -> bool:
    """Say whether two exports serve the same things at one place, whatever was active when they began."""
    return one == Export(one.release, other.layout, other.output, other.follow, other.components, other.names)


def find(enclave: Enclave, reference: str, state: State, now: datetime) -> Release:
    """Return an installed release (``name@version``, digest), or the one that is ``active``, if policy lets it run.

    Of one with variants, ``active`` is as it runs, every other in the choice that policy makes.

    Raises:
        NotHeldError: it is not installed, or none is active.
        VariantError: policy chooses none of its variants, or one that is not held.
        RefusedError: policy would not let it run.
    """
    if reference == ACTIVE and state.active is None:
        raise NotHeldError("no release is active", hint="activate one: airlift high activate RELEASE")
    release = enclave.find_release(state.active if reference == ACTIVE and state.active else reference, state)
    gate.insist(gate.service_refusals(enclave, release, state, now=now))
    return release.only(state.chosen) if reference == ACTIVE else choose_held(enclave, state, release)


def _resolved(output: Path) -> str:
    """Return an absolute path without links in the folders above it."""
    return str(output.absolute().parent.resolve() / output.absolute().name)


def _placed(enclave: Enclave, output: Path) -> Path:
    """Return where the export is to stand, as an absolute path that entries may have in them.

    Raises:
        UsageError: it lies within the enclave, or the enclave within it, or it cannot be written down.
    """
    place = Path(_resolved(output))
    folder = enclave.folder.resolve()
    if place.is_relative_to(folder) or folder.is_relative_to(place):
        raise UsageError(
            "an export cannot stand within the enclave, nor around it",
            found=str(place),
            hint="choose another --output",
        )
    text = str(place)
    if len(text) > MAX_OUTPUT or not text.isprintable() or not place.name:
        raise UsageError(
            "this is no place for an export", expected=f"a path of at most {MAX_OUTPUT} printable characters"
        )
    return place


def _foreseen(plan: Plan, enclave: Enclave, place: Path) -> Built:
    """Return what building a plan at ``place`` would do, as far as file systems tell."""
    folder = place
    while not folder.is_dir():
        folder = folder.parent
    with files.reading(folder):
        linked = folder.stat().st_dev == enclave.content.folder.stat().st_dev
    bytes_ = sum(part.entry.size for part in plan.values() if isinstance(part, Linked))
    count = len(list(sizes(plan)))
    return Built(
        files=count,
        pointers=len(plan) - count,
        linked_bytes=bytes_ if linked else 0,
        copied_bytes=0 if linked else bytes_,
        written_bytes=sum(sizes(plan)) - bytes_,
    )
