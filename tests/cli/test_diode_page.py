"""The commands of docs/diode.md, run as they stand there, with a link that loses a volume and damages another."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.arch.tree import ROOT
from tests.cli.conftest import World
from tests.cli.transcript import Transcript

PAGE = (ROOT / "docs/diode.md").read_text()
MEDIA = "/media/"


def lines() -> Iterator[list[str]]:
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            yield shlex.split(line.partition(" #")[0])


def run(world: World, words: list[str]) -> Transcript:
    """Run a command of the page with the folders of this world in the place of media."""
    assert words[0] == "airlift"
    return world.quick(*(word.replace(MEDIA, "media-") for word in words[1:]), "--format", "json").expect(0)


def carry(link: Path, drop: Path, *but: str) -> None:
    """Send all volumes through the link, except some."""
    for volume in sorted(link.iterdir()):
        if volume.name not in but and not (drop / volume.name).exists():
            shutil.copytree(volume, drop / volume.name)


def test_the_commands_of_the_page_do_what_it_says(world: World) -> None:
    link, drop = world.folder / "media-link", world.folder / "media-drop"
    drop.mkdir()
    bundle, check, recut, dry, watch = lines()
    made = run(world, bundle).data
    assert made["bundle"] == "alpha-6"
    assert len(made["volumes"]) > 2
    run(world, check)
    lost = Path(made["volumes"][0]["path"]).name
    carry(link, drop, lost)
    run(world, recut)
    assert len(list(link.iterdir())) > len(made["volumes"])
    foreseen = run(world, dry).data["foreseen"]
    assert [(item["bundle"], item["code"]) for item in foreseen] == [("alpha-6", "ready")]
    said = world.quick(*(word.replace(MEDIA, "media-") for word in watch[1:])).expect(0)
    assert '"event": "activated"' in said.out
    assert world.quick("high", "status", "--format", "json").data["active"] == "demo@1"
    assert list(drop.iterdir()) == []
    assert len(list((world.folder / "media-done").iterdir())) == len(made["volumes"]) - 1
    carry(link, drop)  # and all of it again, both cuts
    again = world.quick(*(word.replace(MEDIA, "media-") for word in watch[1:])).expect(0)
    assert '"event": "repeated"' in again.out
    assert "quarantined" not in again.out
    assert (world.folder / "airlift.prom").exists()


def test_the_metrics_of_the_page_exist() -> None:
    source = (ROOT / "airlift/high/watching/measure.py").read_text()
    named = set(re.findall(r"`(airlift_[a-z_]+)", PAGE))
    assert len(named) >= 5
    assert [name for name in named if name not in source] == []
