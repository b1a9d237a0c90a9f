"""From folders to a release: `low draft`, a person who fills in what only they know; and `low outdated`."""

from pathlib import Path

import yaml

from tests.cli.conftest import World


def folders(world: World) -> list[Path]:
    """Write a model, and the adapter that says so."""
    for name, files in {
        "corpus": {"text.dat": b"other words\n"},
        "tool": {"config.json": b'{"architectures": ["X"], "license": "MIT"}', "run.py": b"1\n"},
    }.items():
        folder = world.folder / "new" / name
        folder.mkdir(parents=True)
        for path, data in files.items():
            (folder / path).write_bytes(data)
    return [world.folder / "new" / "corpus", world.folder / "new" / "tool"]


def test_a_draft_becomes_a_release(world: World) -> None:
    corpus, tool = folders(world)
    shown = world.quick("low", "draft", corpus, tool).expect(0)
    document = yaml.safe_load(shown.out)
    assert (document["release"], document["marking"]["level"]) == ("demo", "FILL-IN")
    said = world.quick("low", "draft", corpus, tool, "--format", "json").expect(0)
    assert said.data["manifest"] == shown.out
    assert set(said.data) == {"manifest", "output", "release", "components", "lacking"}
    first, second = said.data["components"]
    assert (first["name"], first["kind"], first["version"], first["objections"]) == (
        "corpus",
        "data",
        "2",
        [],
    )
    assert second["objections"][0].startswith("low release will object (code): run.py is code")

    (tool / "run.py").unlink()
    written = world.quick("low", "draft", corpus, tool, "--output", "demo.yaml").expect(0)
    assert "complete demo.yaml, then: airlift low release demo.yaml" in written.err
    path = world.folder / "demo.yaml"
    again = world.quick("low", "draft", corpus, "--output", "demo.yaml", "--format", "json").expect(2)
    assert again.error["code"] == "exists"
    refused = world.quick("low", "release", "demo.yaml", "--format", "json").expect(2)
    assert refused.error["message"] == "demo.yaml: marking.level is still to be filled in"
    path.write_text(path.read_text().replace("FILL-IN", "UNCLASSIFIED"))
    done = world.quick("low", "release", "demo.yaml", "--dry-run", "--replace", "--format", "json").expect(0)
    assert done.data["release"] == f"demo@{document['version']}"


def test_a_draft_needs_no_depot(tmp_path: Path) -> None:
    world = World(tmp_path)
    said = world.quick("low", "draft", folders(world)[0], "--format", "json").expect(0)
    assert said.data["release"] == "corpus@1"
    world.quick("low", "draft", "nowhere", "--format", "json").expect(7)


def test_nothing_came_from_a_hub(world: World) -> None:
    said = world.quick("low", "outdated", "--format", "json").expect(0)
    assert said.data == {"release": "demo@3", "sources": []}
    assert "no component of demo@3 came from a hub" in world.quick("low", "outdated").expect(0).err
