"""The bench measures whole processes, and airlift's own way from end to end on a small pair."""

import os
import sys
from pathlib import Path

import pytest

from tests.bench import machine, peers
from tests.bench.generate import Recipe
from tests.bench.measure import DIGEST, measure
from tests.bench.pairs import generated, real, stack
from tests.bench.process import Cost, run

MEMORY = "x = bytearray(64 << 20); import time; time.sleep(0.2); print('done')"


def test_a_process_costs_time_and_memory() -> None:
    cost, answer = run([sys.executable, "-c", MEMORY])
    assert answer == "done\n"
    assert 0.2 < cost.seconds < 30
    assert 0 < cost.cpu < 30
    assert 64 << 20 < cost.anonymous <= cost.resident < 256 << 20


def test_a_process_that_fails_ends_the_bench() -> None:
    with pytest.raises(SystemExit, match=r"ended with 3:\n.*trouble"):
        run([sys.executable, "-c", "import sys; sys.stderr.write('trouble'); sys.exit(3)"])


def test_a_process_keeps_what_it_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    _, answer = run([sys.executable, "-c", "import sys; print(sys.dont_write_bytecode)"])
    assert answer == "False\n"


def test_a_process_is_confined_to_a_core() -> None:
    mine = os.sched_getaffinity(0)
    _, answer = run([sys.executable, "-c", "import os; print(len(os.sched_getaffinity(0)))"], cores=1)
    assert answer == "1\n"
    assert os.sched_getaffinity(0) == mine


def test_costs_add_up_but_peaks_do_not() -> None:
    assert Cost(1, 2, 30, 40) + Cost(3, 4, 20, 50) == Cost(4, 6, 30, 50)


def test_the_way_and_its_digest_are_measured(tmp_path: Path) -> None:
    pair = generated(tmp_path / "pair", 100_000, 2, Recipe())
    (tmp_path / "high").mkdir()
    found = measure(pair, set(), tmp_path, tmp_path / "high", rounds=1, one_core=True)
    rows = {row.program: row for row in found}
    assert set(rows) == {DIGEST, "airlift", "airlift, one core"}
    assert rows["airlift"].size == rows["airlift, one core"].size
    assert 0 < rows["airlift"].share < 1
    assert rows["airlift"].make.seconds > 0 < rows["airlift"].apply.seconds
    assert not list((tmp_path / "high").iterdir()), "nothing is left behind"


@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda peer: peer.name)
def test_peers_rebuild_the_target(tmp_path: Path, peer: peers.Peer) -> None:
    if reason := peers.missing(peer):
        pytest.skip(reason)
    pair = generated(tmp_path / "pair", 100_000, 2, Recipe())
    work = peers.PeerRun(peer, pair, tmp_path / "peer")
    assert work.make().seconds > 0
    assert work.apply().seconds > 0
    assert 0 < work.size < 2 * pair.size


def test_a_wrong_file_ends_the_bench(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"1")
    (tmp_path / "two").write_bytes(b"2")
    with pytest.raises(SystemExit, match="two was not rebuilt"):
        peers.compare(tmp_path / "one", tmp_path / "two")


def test_pairs_have_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(pair.size > 0 and len(pair.bases) == len(pair.targets) == 1 for pair in stack())
    monkeypatch.setenv("AIRLIFT_BENCH_DATA", str(tmp_path))
    for name in ("base.bf16", "sft.bf16", "sft.f16"):
        (tmp_path / f"{name}.safetensors").write_bytes(b"x")
    assert [pair.name for pair in real()] == ["real sft bf16"]
    monkeypatch.delenv("AIRLIFT_BENCH_DATA")
    assert not list(real())


def test_the_machine_is_described(tmp_path: Path) -> None:
    assert {"airlift", "Python", "processor", "system"} <= set(machine.describe())
    assert machine.sha512_rate() > 0
    assert machine.storage(tmp_path)
