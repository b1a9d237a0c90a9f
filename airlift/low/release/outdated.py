"""Compare the hub sources of the newest published release with what the hub has now (SPEC L3.6)."""

from dataclasses import dataclass

from airlift.bundle.release import Release
from airlift.errors import NotHeldError
from airlift.low.depot.depot import Depot
from airlift.low.release.hub.fetch import newest_commit
from airlift.progress import Progress, silent

BRANCH = "main"


@dataclass(frozen=True, slots=True)
class HubSource:
    """A component that came from a hub, and what its branch has; ``newest`` is None if the hub has it no more."""

    component: str
    version: str
    repo: str
    branch: str
    revision: str
    newest: str | None

    @property
    def outdated(self) -> bool:
        """Whether the branch has another commit, or none any more."""
        return self.newest != self.revision


@dataclass(frozen=True, slots=True)
class OutdatedResult:
    """The hub sources of the newest published release."""

    release: str
    sources: tuple[HubSource, ...]


def find_outdated(depot: Depot, progress: Progress = silent) -> OutdatedResult:
    """Ask the hub of every component that came from one; nothing is changed.

    Raises:
        NotHeldError: no release is published.
        UncheckedError: the endpoint cannot be asked, or wants a token.
        UsageError: huggingface_hub is not installed.
    """
    release = _newest(depot)
    asked: dict[str, str | None] = {}
    sources = []
    for component in release.components:
        if component.source["kind"] != "hub":
            continue
        repo = component.source["repo"]
        if repo not in asked:
            asked[repo] = _commit(repo, progress)
        revision = component.source["revision"]
        sources.append(HubSource(component.name, component.version, repo, BRANCH, revision, asked[repo]))
    return OutdatedResult(release.label, tuple(sources))


def _newest(depot: Depot) -> Release:
    for reference in reversed(depot.releases()):
        if depot.is_published(reference.digest):
            return depot.load_release(reference.digest)
    raise NotHeldError("no release is published", hint="make one: `airlift low release MANIFEST.yaml`")


def _commit(repo: str, progress: Progress) -> str | None:
    try:
        return newest_commit(repo, BRANCH, progress)
    except NotHeldError:
        return None
