"""A small repository, and how tests fetch it."""

from pathlib import Path

from airlift.low.release.hub.fetch import Fetched, Wanted, fetch_commit

REPO = "org/tiny"
WEIGHTS = bytes(range(256)) * 12_000  # 3 MB: several pieces, and more than what counts as progress
FILES = {
    "config.json": b"{}",
    "empty.txt": b"",
    "model.safetensors": WEIGHTS,
    "onnx/model.onnx": b"onnx" * 1000,
    "readme.md": b"# tiny",
}


class Told:
    """Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int]] = []
        self.said: list[str] = []

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.seen.append((stage, done, total))

    def tell(self, text: str) -> None:
        self.said.append(text)


def fetch(folder: Path, revision: str, told: Told | None = None, **wanted: list[str]) -> Fetched:
    """Fetch the small repository into the cache ``folder``."""
    return fetch_commit(Wanted(REPO, revision, **wanted), folder, told or Told())


def leftovers(folder: Path) -> list[Path]:
    """Return what is in a cache beside whole files and links to them."""
    return [path for path in folder.rglob("*") if path.name.endswith(("-incomplete", ".tmp"))]
