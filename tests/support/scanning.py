"""Releases that a scanner must find something in, made as an airlift with an older gate would have made them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from airlift.intake import collect
from airlift.intake.gate.verdict import Verdict
from tests.cli.conftest import World, pack

SIGNING = ("--key", "keys/release-cy.key", "--key", "keys/release-di.key", "--replace")
POLICY = """\
airlift: 2
enclave: alpha
marking: {levels: [UNCLASSIFIED, SECRET], ceiling: {level: UNCLASSIFIED}}
"""


@contextmanager
def older_gate() -> Iterator[None]:
    """Let this process judge as a gate does that objects to nothing."""
    with pytest.MonkeyPatch.context() as older:
        older.setattr(collect, "judge_file", lambda *_args: Verdict((), "text"))
        yield


def written(
    world: World, version: str, files: Mapping[str, bytes], more: str = "", kind: str = "model"
) -> Path:
    """Write a component ``m``, and the manifest of a release demo@VERSION of it.

    ``more`` are further keys of the component.
    """
    folder = world.folder / f"sources/m-{version}"
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    path = world.folder / f"scanned-{version}.yaml"
    path.write_text(
        f"airlift: 1\nrelease: demo\nversion: {version}\nmarking: {{level: UNCLASSIFIED}}\ncomponents:\n"
        f"  - name: m\n    kind: {kind}\n    version: '{version}'\n    source: {{path: sources/m-{version}}}\n{more}"
    )
    return path


def released(
    world: World, version: str, files: Mapping[str, bytes], more: str = "", kind: str = "model"
) -> str:
    """Release demo@VERSION of these files, signed by both, and return its name."""
    world.quick("low", "release", written(world, version, files, more, kind), *SIGNING).expect(0)
    return f"demo@{version}"


def bundled(world: World, version: str) -> list[Path]:
    """Bundle a release for alpha, and return its volumes."""
    before = set(world.folder.glob("media/*"))
    pack(world, version, "--for", "alpha")
    return sorted(set(world.folder.glob("media/*")) - before)


def accepting(*kinds: str) -> str:
    """Return the key of a component that waives these kinds of objections."""
    return f"    accept: [{', '.join(f'{{what: {kind}, reason: Reviewed.}}' for kind in kinds)}]\n"
