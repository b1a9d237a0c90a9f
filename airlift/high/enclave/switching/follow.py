"""Layouts that follow: their trees are built before a switch, and their links moved right after it (SPEC 8.7-6).

OUTPUT is a symbolic link to ``.NAME.airlift/<64>`` beside it, a tree whose name says release and choice. Of a release
with variants, ``chosen`` are the names of those that it is served with (SPEC 8.7-11).
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from airlift import files
from airlift.errors import AirliftError, StorageError
from airlift.high.enclave.enclave import Enclave
from airlift.ledger.entries.exports import Export
from airlift.ledger.state import State
from airlift.progress import Progress, silent
from airlift.store.whole_folders import building

if TYPE_CHECKING:
    from airlift.layouts.build import Built
    from airlift.layouts.layouts import Choice


def trees(output: Path) -> Path:
    """Return the folder beside ``output`` that holds the trees that it points at in turn."""
    return output.with_name(f".{output.name}.airlift")


def tree_of(export: Export, release: str, chosen: Sequence[str] = ()) -> Path:
    """Return where the tree of the release with this digest lies, served as ``export`` says.

    Raises:
        UsageError: there is no such layout (any more).
    """
    return trees(Path(export.output)) / _choice(export).tree_name(release, chosen)


def prepare(enclave: Enclave, state: State, release: str, chosen: Sequence[str] = ()) -> None:
    """Build the trees of the release with this digest for all that follows, where they are not there yet.

    Raises:
        LayoutError: the release cannot be served so.
        StorageError: a tree cannot be built, or the place of one has vanished.
    """
    for export in state.follows:
        build_tree(enclave, export, release, chosen)


def build_tree(
    enclave: Enclave, export: Export, release: str, chosen: Sequence[str] = (), progress: Progress = silent
) -> "Built | None":
    """Build one tree if it is not there; return what was built. Errors as of :func:`prepare`."""
    place = tree_of(export, release, chosen)
    if place.is_dir():
        # a command that was killed may have left names that are there, and not durable
        files.sync_tree(place)
        return None
    if not place.parent.is_dir():
        raise StorageError(
            f"the place of the export at {export.output} has vanished",
            expected=str(place.parent),
            hint=f"mount it again, or end the export: airlift high unfollow {export.output}",
        )
    from airlift.layouts.layouts import lay_out  # noqa: PLC0415 - loaded only where something follows

    served = enclave.load_release(release).only(chosen)
    with building(place) as temporary:
        return lay_out(_choice(export), served, enclave.content, temporary, progress)


def point(state: State, release: str | None, chosen: Sequence[str] = ()) -> dict[str, AirliftError]:
    """Point the links of all that follows at their trees of a release (digest), or remove them, with None.

    A link whose tree is not there is removed too, so that it never serves what does not run. Return what went wrong,
    by the outputs of those that do not serve the release, or with None could not be removed.
    """
    failed: dict[str, AirliftError] = {}
    for export in state.follows:
        try:
            _point(export, release, chosen)
        except AirliftError as error:
            failed[export.output] = error
    return failed


def _point(export: Export, release: str | None, chosen: Sequence[str]) -> None:
    link, target = Path(export.output), _target(export, release, chosen)
    if target is not None:
        files.point_link(link, target, scratch=trees(link))
        return
    files.remove(link)
    if release is not None:
        raise StorageError(f"the tree of the export at {link} is not there")


def out_of_step(state: State) -> Iterator[Export]:
    """Yield what does not serve the active release, or serves one while none is active."""
    for export in state.follows:
        with suppress(AirliftError):
            expected = _name(tree_of(export, state.active, state.chosen)) if state.active else None
            if _points_at(Path(export.output)) == expected:
                continue
        yield export


def restore(enclave: Enclave, state: State, export: Export) -> bool:
    """Let one export serve what is active, building its tree if need be; say whether that could be done.

    Where it cannot, its link is removed if that can be: it must not serve what does not run.
    """
    link = Path(export.output)
    with suppress(AirliftError):
        if state.active is None:
            files.remove(link)
        else:
            build_tree(enclave, export, state.active, state.chosen)
            served = tree_of(export, state.active, state.chosen)
            files.point_link(link, _name(served), scratch=trees(link))
        return True
    with suppress(AirliftError):
        files.remove(link)
    return False


def tidy(state: State) -> None:
    """Remove the trees of all that follows but those of the active release and the one before, in any choice.

    What cannot be removed is left: it is served to nobody.
    """
    for path in leftovers(state):
        with suppress(AirliftError):
            files.remove(path)


def renew(enclave: Enclave, state: State) -> None:
    """Build anew the trees that link to content which was replaced; of the release before, only when it is needed.

    What cannot be built stays reported.
    """
    if not differing(enclave, state):
        return
    for export in state.follows:
        with suppress(AirliftError):
            files.remove(trees(Path(export.output)))
            files.make_folder(trees(Path(export.output)))
        restore(enclave, state, export)


def differing(enclave: Enclave, state: State) -> list[str]:
    """Return what is not as it must be of what follows: a link, or the paths of the tree that is served."""
    found = [f"{export.output} (the link)" for export in out_of_step(state)]
    if not state.follows or state.active is None:
        return found
    from airlift.layouts.compare import differences  # noqa: PLC0415 - as above
    from airlift.layouts.layouts import plan_of  # noqa: PLC0415 - as above

    active = enclave.load_release(state.active).only(state.chosen)
    for export in state.follows:
        plan = plan_of(_choice(export), active, enclave.content)
        wrong = differences(plan, enclave.content, tree_of(export, active.digest, active.chosen))
        found += [f"{export.output}/{path}" for path in wrong]
    return found


def leftovers(state: State) -> list[Path]:
    """Return what lies beside the trees of the active release and the one before; nothing that cannot be read."""
    laid_out = (tree for tree in state.trees() if tree[0] in (state.active, state.previous))
    served = [*laid_out, *([(state.active, state.chosen)] if state.active else [])]
    found = []
    for export in state.follows:
        with suppress(AirliftError):
            kept = {tree_of(export, release, chosen).name for release, chosen in served}
            children = _children(trees(Path(export.output)))
            found += [path for path in children if path.name not in kept]
    return found


def _choice(export: Export) -> "Choice":
    from airlift.layouts.layouts import choose  # noqa: PLC0415 - as above

    return choose(export.layout, export.components, export.names)


def _target(export: Export, release: str | None, chosen: Sequence[str]) -> str | None:
    """Return what the link is to point at: nothing where there is no tree of the release."""
    with suppress(AirliftError):
        place = tree_of(export, release, chosen) if release else None
        return _name(place) if place is not None and place.is_dir() else None
    return None


def _name(tree: Path) -> str:
    """Return how the link beside the folder of trees names one of them."""
    return f"{tree.parent.name}/{tree.name}"


def _points_at(link: Path) -> str | None:
    try:
        return str(link.readlink())
    except OSError:
        return None


def _children(folder: Path) -> list[Path]:
    with files.reading(folder):
        return sorted(folder.iterdir()) if folder.is_dir() else []
