"""The commands of docs/relay.md, run as they stand there: a hub, and an enclave behind it."""

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.arch.tree import ROOT
from tests.cli.conftest import World, pack
from tests.cli.transcript import Transcript

JSON = ("--format", "json")
PAGE = (ROOT / "docs/relay.md").read_text()
MEDIA = "/media/"


@dataclass(frozen=True)
class Line:
    """A command of the page, and whether it is for the enclave behind."""

    words: tuple[str, ...]
    behind: bool


def blocks(language: str) -> list[str]:
    """Return the blocks of the page that are marked as of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def lines() -> Iterator[Line]:
    for block in blocks("sh"):
        for line in block.splitlines():
            command, _, comment = line.partition(" #")
            yield Line(tuple(shlex.split(command)), "on bravo" in comment)


@pytest.fixture
def places(world: World) -> World:
    """A hub and an enclave ``bravo``, the discs that the page speaks of, and the page's policy."""
    pack(world, "2")  # any-6: not spoken of
    pack(world, "1", "--for", "bravo", "--volume-size", "2MB")
    pack(world, "2")
    first, *rest = world.volumes("bravo-7")
    assert rest
    for disc, volumes in (("1", [first]), ("2", rest), ("3", world.volumes("any-8"))):
        for volume in volumes:
            shutil.copytree(volume, world.folder / f"media-{disc}" / volume.name)
    world.quick("keys", "generate", "bravo", "--no-passphrase").expect(0)
    (policy,) = blocks("yaml")
    (world.folder / "policy.yaml").write_text(policy)
    shutil.rmtree(world.folder / "enclave")
    for folder, name, key in (("enclave", "hub", "keys/ledger.key"), ("bravo", "bravo", "bravo.key")):
        world.quick(
            *("high", "init", "--enclave", folder, "--root", "depot/root.json", "--yes"),
            *("--name", name, "--ledger-key", key),
        ).expect(0)
    return world


def run(world: World, line: Line) -> Transcript:
    """Run a command of the page with the folders of this world in the place of media."""
    words: list[str] = []
    for word in line.words[1:]:
        place = word.replace(f"{MEDIA}disc", "media-").replace(MEDIA, "")
        found = sorted(map(str, world.folder.glob(place))) if "*" in place else [place]
        assert found, f"nothing is called {word}"
        words += found
    return world.quick(*words, *(("--enclave", "bravo") if line.behind else ()), *JSON)


def test_the_commands_of_the_page_do_what_it_says(places: World) -> None:
    said = []
    for line in lines():
        assert line.words[0] == "airlift"
        said.append((line.words[1:3], run(places, line).expect(0).data))
    verbs = [words for words, _ in said]
    assert len(verbs) >= 10
    assert {words[1] for words in verbs} == {"policy", "relay", "import", "status", "receipt", "history"}
    relayed = [data for words, data in said if words[1] == "relay"]
    handed = [[item["bundle"] for item in data["handed"]] for data in relayed if "handed" in data]
    assert handed == [["bravo-7"], ["any-8"]]
    assert relayed[-1]["bundle"] == "any-8"
    (kept,) = next(data["relay"] for words, data in said if words[1] == "status")
    assert kept["bundle"] == "any-8"
    behind = places.quick("high", "status", "--enclave", "bravo", *JSON).expect(0).data
    assert (behind["active"], behind["installed"]) == ("demo@2", ["demo@1", "demo@2"])
    entries = said[-1][1]["entries"]
    assert [entry["bundle"] for entry in entries] == ["bravo-7", "any-8"]
    assert list((places.folder / "enclave/relay").iterdir()) == []


def test_every_code_of_the_page_has_its_exit() -> None:
    """SPEC 10 says which; tests/cli/test_relay.py that the commands give these codes."""
    spec = (ROOT / "docs/SPEC.md").read_text().partition("## 10. Errors")[2].partition("## 11.")[0]
    exits = {
        code: row.split(" | ")[0].strip("| ")
        for row in spec.splitlines()
        for code in re.findall("`([a-z-]+)`", row)
    }
    rows = [row.strip("| ").split(" | ") for row in PAGE.splitlines() if re.match(r"\| [2-8] \|", row)]
    assert len(rows) >= 9
    for exit_, codes, *_ in rows:
        for code in re.findall("`([a-z-]+)`", codes):
            assert exits[code] == exit_, code
