"""A plan of terabytes: the same steps of a model of few layers, and in memory that does not grow with its bytes."""

from pathlib import Path

import pytest

from tests.bench import terabytes


def test_every_step_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terabytes, "LAYERS", 2)
    monkeypatch.setattr(terabytes, "FILES", 3)
    monkeypatch.setattr(terabytes, "PAIR_BYTES", 2_000_000)
    terabytes.run(700_000_000, tmp_path)
    said = {line[:26].strip(): line[26:] for line in capsys.readouterr().out.splitlines()}
    size = sum(2 * rows * columns for _, (rows, columns) in terabytes.shapes(700_000_000))
    assert "3 files" in said["plan"]
    assert int(said["plan"].split(" files, ")[1].split()[0].replace(",", "")) >= size
    assert "blocks" in said["8 parts"]
    assert {"release manifest", "table of pieces", "delta: volumes", "in full: volumes"} <= said.keys()
    assert (tmp_path / "content").stat().st_size < 1 << 20


def test_what_is_sampled_is_as_long_as_was_asked_for(tmp_path: Path) -> None:
    for side in ("base", "target"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "x.safetensors").write_bytes(bytes(range(256)) * 64)
    content = terabytes.Content(tmp_path, {"b"}, tmp_path)
    with content.reader(["a", "b"]) as read:
        for start, end in ((0, 10), (4095, 4100), (10**12, 10**12 + 20_000), (5, 5)):
            assert len(read(0, start, end)) == end - start
