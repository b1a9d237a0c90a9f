"""Leave out one fsync, rename or link of the source at a time: the rules of durability must notice every one."""

import ast
import re
from pathlib import Path

import pytest

import airlift
from airlift import files
from airlift.errors import AirliftError
from tests.crash import model
from tests.crash.recorder import FILES_CALLS, Recorder, Site, call_sites
from tests.crash.rehearsal import SCENES, Rehearsal, run_dead

TOP = Path(airlift.__file__).parent
SYSTEM_CALLS = {"os.fsync", "os.rename", "os.link", "os.symlink"}
CALLS = SYSTEM_CALLS | {name for call in FILES_CALLS for name in (call, f"files.{call}")}


def sites() -> list[Site]:
    """Return every call in the source that makes something durable, or gives it its name."""
    found = []
    for path in sorted(TOP.rglob("*.py")):
        found += call_sites(ast.parse(path.read_text()), path.relative_to(TOP.parent).as_posix(), CALLS)
    return found


def notice(site: Site, rehearsal: Rehearsal) -> str | None:
    """Return what is wrong with an undisturbed run without this call, or None."""
    with rehearsal.fresh() as top:
        disk = Recorder(top, left_out=site)
        try:
            with disk:
                rehearsal.scene.run(top)
            rehearsal.expected.finished(top)
        except (AirliftError, AssertionError, OSError) as error:
            return repr(error)
    return next(iter(rehearsal.at_risk(disk)), None)


def notice_after_kill(site: Site, rehearsal: Rehearsal) -> str | None:
    """Return what is wrong if the call is missing from the run after one that was killed before a sync."""
    for step, text in enumerate(rehearsal.steps, 1):
        if re.fullmatch(r"fsync (\.|again|shared|enclave|enclave/content/..)", text):
            with rehearsal.fresh() as top:
                disk = run_dead(rehearsal, top, step)
                disk.left_out = site
                with disk:
                    rehearsal.scene.run(top)
                if rehearsal.at_risk(disk):
                    return text
    return None


def notice_in_log(site: Site, folder: Path) -> str | None:
    """Return what is not durable after a line was appended to a new file and to an old one, or None."""
    folder.mkdir()
    with Recorder(folder, left_out=site) as disk:
        files.append_durable(folder / "new", b"first\n")
        found = model.unsynced(disk.root)
        files.append_durable(folder / "new", b"second\n")
    return next(iter([*found, *model.unsynced(disk.root)]), None)


@pytest.mark.parametrize("site", sites(), ids=lambda site: f"{site.path}:{site.line}:{site.callee}")
def test_every_call_is_missed(site: Site, rehearsals: dict[str, Rehearsal], tmp_path: Path) -> None:
    """Removing any single fsync or rename from the code must make a test fail."""
    passing = [rehearsals[name] for name in SCENES if any(map(site.made, rehearsals[name].calls))]
    passing.sort(key=lambda rehearsal: len(rehearsal.steps))
    assert (
        notice_in_log(site, tmp_path / "log")
        or any(notice(site, rehearsal) for rehearsal in passing)
        or any(
            notice_after_kill(site, rehearsals[name])
            for name in ("activate", "enrol", "import-full", "recut", "shard")
        )
    )


@pytest.mark.parametrize("name", SCENES)
def test_nothing_is_missed_when_nothing_is_left_out(name: str, rehearsals: dict[str, Rehearsal]) -> None:
    assert notice(Site("no such file", 0, 0, "fsync"), rehearsals[name]) is None


def test_nothing_is_missed_after_a_kill(rehearsals: dict[str, Rehearsal], tmp_path: Path) -> None:
    assert notice_in_log(Site("no such file", 0, 0, "fsync"), tmp_path / "log") is None
    assert notice_after_kill(Site("no such file", 0, 0, "fsync"), rehearsals["activate"]) is None
