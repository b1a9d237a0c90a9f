"""What times exports makes a model that is read as one, and measures every layout of it."""

import tempfile
from pathlib import Path

import pytest

from airlift.layouts.layouts import LAYOUTS
from airlift.tensors.formats import gguf
from tests.bench import layout_speed
from tests.cli.conftest import World
from tests.conftest import sharing_folder


def test_every_layout_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(layout_speed, "BLOCKS", 1 << 10)
    layout_speed.write_model(tmp_path / "m.gguf", 100_000)
    size = (tmp_path / "m.gguf").stat().st_size
    assert 0 < size <= 110_000
    (tensor,) = [span for span in gguf.read_spans(tmp_path / "m.gguf") if span.name]
    assert tensor.name == "output.weight"
    layout_speed.main(tmp_path / "world", 100_000)
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert [row[1].strip() for row in rows[2:]] == list(LAYOUTS)
    assert all(float(row[3]) > 0 for row in rows[2:])
    assert not (tmp_path / "world/served").exists()


def test_no_layout_is_a_second_copy_where_blocks_are_shared() -> None:
    """Measured by what the file system has left: Btrfs, or XFS with reflinks."""
    size = 48 << 20
    with tempfile.TemporaryDirectory(dir=sharing_folder()) as room:
        world = World(Path(room) / "world")
        layout_speed.prepare(world, size)
        taken = {layout: layout_speed.measure(world, layout)[2] for layout in LAYOUTS}
    assert max(taken.values()) < size // 20, taken
