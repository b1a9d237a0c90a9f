"""What an `hf-cache` holds is found by the real libraries, without a network and without a second copy."""

import hashlib
import json
from pathlib import Path

import pytest

from airlift.layouts.layouts import choose, plan_of
from airlift.store.content import ContentFolder
from tests.conftest import find_file
from tests.serving.conftest import (
    COMMIT,
    LINES,
    NAMES,
    ODD,
    OLD,
    OLD_COMMIT,
    RELEASE,
    TINY,
    Reader,
    laid_out,
    reader,
)
from tests.support.served import component_of, keep, release_of


def digests(files: dict[str, bytes]) -> dict[str, str]:
    return {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


@pytest.fixture
def cache(tmp_path: Path, content: ContentFolder) -> Path:
    return laid_out("hf-cache", tmp_path / "cache", content, names=NAMES)


@pytest.fixture
def offline(tmp_path: Path, cache: Path) -> Reader:
    return reader(tmp_path / "home", HF_HUB_CACHE=cache, HF_HUB_OFFLINE=1)


def test_a_whole_revision_is_found(offline: Reader, cache: Path) -> None:
    found = offline.do("whole", repo_id="acme/tiny")
    assert found == {"path": str(cache / f"models--acme--tiny/snapshots/{COMMIT}"), "files": digests(TINY)}
    assert offline.do("whole", repo_id="acme/tiny", revision=COMMIT) == found
    assert offline.do("whole", repo_id="acme/tiny", local_files_only=True) == found
    old = offline.do("whole", repo_id="acme/tiny", revision="v1")
    assert (Path(old["path"]).name, old["files"]) == (OLD_COMMIT, digests(OLD))
    lines = offline.do("whole", repo_id="assistant/lines", repo_type="dataset")
    assert lines["files"] == digests(LINES)
    assert offline.do("whole", repo_id="gpt2")["files"] == digests(OLD)


def test_single_files_are_found(offline: Reader) -> None:
    assert (
        offline.do("one", repo_id="acme/tiny", filename=ODD)["sha256"] == hashlib.sha256(b"odd").hexdigest()
    )
    missing = offline.do("one", repo_id="acme/tiny", filename="none.json")
    assert "LocalEntryNotFoundError" in missing["error"]
    assert "LocalEntryNotFoundError" in offline.do("whole", repo_id="acme/gated")["error"]


def test_the_library_finds_the_cache_in_order(offline: Reader, cache: Path) -> None:
    told = offline.do("cached")
    assert told["repos"] == {"model acme/tiny": 4, "model gpt2": 1, "dataset assistant/lines": 1}
    assert told["warnings"] == []
    assert told["found"] == str(cache / f"models--acme--tiny/snapshots/{COMMIT}/config.json")
    shown = offline.hf("cache", "ls")
    assert shown.returncode == 0, shown.stderr
    assert "acme/tiny" in shown.stdout


def test_a_revision_that_lacks_a_file_is_told(offline: Reader, cache: Path) -> None:
    (cache / f"models--acme--tiny/snapshots/{COMMIT}/config.json").unlink()
    assert "IncompleteSnapshotError" in offline.do("whole", repo_id="acme/tiny")["error"]


def test_readers_write_nothing_into_the_cache(offline: Reader, cache: Path) -> None:
    before = sorted(str(path) for path in cache.rglob("*"))
    offline.do("whole", repo_id="acme/tiny")
    offline.do("one", repo_id="acme/tiny", filename="none.json")
    offline.do("cached")
    assert sorted(str(path) for path in cache.rglob("*")) == before


def test_nothing_is_kept_twice(tmp_path: Path, content: ContentFolder, cache: Path) -> None:
    kept = {Path(place).stat().st_ino for place in content.places()}
    blobs = list(cache.glob("*/blobs/*"))
    assert len(blobs) == 6
    assert {path.stat().st_ino for path in blobs} == kept
    plan = plan_of(choose("hf-cache", (), NAMES), RELEASE, ContentFolder(tmp_path / "nothing"))
    assert len(plan) > len(blobs)  # made although nothing could be read


def test_the_public_libraries_load_and_compute(
    tmp_path: Path, loadable: dict[str, bytes], transformers_python: str
) -> None:
    release = release_of(component_of("guard", "guard", "2.0", loadable))
    content = keep(tmp_path / "content", loadable)
    cache = laid_out("hf-cache", tmp_path / "cache", content, release, names={"guard": "acme/guard"})
    offline = reader(tmp_path / "home", transformers_python, HF_HUB_CACHE=cache, HF_HUB_OFFLINE=1)
    code = "def move(self, other):\n    return self.place == other.place\n"
    prose = "The package provides the following commands."
    told = offline.do("load", repo="acme/guard", texts=[prose, code])
    assert told == {
        "config": ["GPT2Config", 2],
        "said": prose,
        "numbers": told["numbers"],
        "labels": ["prose", "code"],
    }
    assert 10 < told["numbers"] < len(prose)
    assert offline.do("load", repo="acme/guard", texts=[prose, code], local_files_only=True) == told


def test_a_real_onnx_model_runs_from_the_cache(tmp_path: Path, transformers_python: str) -> None:
    real = find_file("AIRLIFT_ONNX_MODEL", "the small ONNX model of silero-vad").read_bytes()
    files = {"onnx/model.onnx": real, "config.json": json.dumps({"sampling_rate": 16000}).encode()}
    release = release_of(component_of("voice", "model", "6.2", files))
    cache = laid_out("hf-cache", tmp_path / "cache", keep(tmp_path / "content", files), release)
    offline = reader(tmp_path / "home", transformers_python, HF_HUB_CACHE=cache, HF_HUB_OFFLINE=1)
    told = offline.do("onnx", repo="assistant/voice", filename="onnx/model.onnx")
    assert all(0 <= chance < 0.5 for chance in told["chances"])
    assert told["chances"][0] != told["chances"][1]
