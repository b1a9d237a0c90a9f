import hashlib
import json
import os
import pickle
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from airlift import files
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.patterns import Patterns
from airlift.errors import ForbiddenFileError, UncheckedError
from airlift.intake import collect as collect_module
from airlift.intake.collect import Collected, collect, led_outside, survey
from airlift.intake.gate import references
from airlift.store.digests import Digested
from tests.support.gguf_files import gguf, pair
from tests.support.taking import ONLY_DIGESTED
from tests.support.weights import component, noise, safetensors, weights


def silent(_count: int) -> None:
    pass


def gather(source: Path, kind: str = "model") -> tuple[FileEntry, ...]:
    return collect("base", kind, survey("base", source), ONLY_DIGESTED, silent).entries


def refuse(source: Path, kind: str = "model") -> ForbiddenFileError:
    with pytest.raises(ForbiddenFileError) as caught:
        gather(source, kind)
    assert caught.value.message.startswith("component base: ")
    return caught.value


def paths(found: tuple[FileEntry, ...]) -> list[str]:
    return [entry.path for entry in found]


def test_digests_and_sizes(tmp_path: Path) -> None:
    data = noise(1, 3 * (1 << 20) + 17)
    component(tmp_path, {"a/b.dat": data, "z.txt": b""})
    assert gather(tmp_path) == (
        FileEntry("a/b.dat", len(data), hashlib.sha512(data).hexdigest(), hashlib.sha256(data).hexdigest()),
        FileEntry("z.txt", 0, hashlib.sha512().hexdigest(), hashlib.sha256().hexdigest()),
    )


def test_one_file_is_a_component(tmp_path: Path) -> None:
    component(tmp_path, {"blocklist.txt": b"x", "other.txt": b"y"})
    assert paths(gather(tmp_path / "blocklist.txt", "blocklist")) == ["blocklist.txt"]


def test_dotfiles_stay_and_leftovers_go(tmp_path: Path) -> None:
    """Broke: a macOS leftover (``._config.json``) ended in "is not JSON"."""
    component(
        tmp_path,
        {
            ".hidden": b"x",
            ".gitattributes": b"x",
            ".git/HEAD": b"x",
            ".cache/huggingface/a.lock": b"",
            "._config.json": b"\0\5\x16\7",
            "a/.DS_Store": b"",
            "a/.git/b": b"",
            "a/__pycache__/b.pyc": b"",
            "a/b": b"",
            "a/thumbs.db": b"",
        },
    )
    (tmp_path / ".gitlink").symlink_to("nowhere")
    found = survey("base", tmp_path)
    assert list(found.paths) == [".hidden", "a/b"]
    assert found.skipped == (
        "._config.json", ".cache", ".git", ".gitattributes", ".gitlink", "a/.DS_Store", "a/.git", "a/__pycache__",
        "a/thumbs.db",
    )  # fmt: skip
    assert found.left_out == ()


def test_a_file_that_is_named_is_no_leftover(tmp_path: Path) -> None:
    component(tmp_path, {".gitattributes": b"x"})
    assert list(survey("base", tmp_path / ".gitattributes").paths) == [".gitattributes"]
    with pytest.raises(ForbiddenFileError, match="no files") as caught:
        survey("base", tmp_path)
    assert "1 leftovers" in str(caught.value.found)


def test_patterns_choose(tmp_path: Path) -> None:
    """A trainer's folder: what resumes the training is left out, with what nobody could carry."""
    component(
        tmp_path, {"config.json": b"{}", "optimizer.pt": b"x", "run-5/rng_state.pth": b"x", "a:b.pt": b"x"}
    )
    (tmp_path / "latest.pt").symlink_to("nowhere")
    found = survey("base", tmp_path, Patterns((), ("*.pt", "run-*")))
    assert list(found.paths) == ["config.json"]
    assert found.left_out == ("a:b.pt", "latest.pt", "optimizer.pt", "run-5/rng_state.pth")
    assert list(survey("base", tmp_path, Patterns(("*.json",))).paths) == ["config.json"]


@pytest.mark.parametrize("pattern", ["*.pht", "optimizer", ".git/*", "optimizer.pt/"])
def test_a_pattern_that_leaves_out_nothing_is_an_error(tmp_path: Path, pattern: str) -> None:
    component(tmp_path, {"config.json": b"{}", "optimizer.pt": b"x", ".git/HEAD": b"x"})
    with pytest.raises(
        ForbiddenFileError, match="component base: a pattern of exclude fits no file"
    ) as caught:
        survey("base", tmp_path, Patterns((), ("optimizer.pt", pattern)))
    assert repr(pattern) in caught.value.message
    assert caught.value.exit_code == 2


def test_patterns_that_leave_nothing(tmp_path: Path) -> None:
    component(tmp_path, {"config.json": b"{}"})
    for patterns in (Patterns(("*.yaml",)), Patterns((), ("*",))):
        with pytest.raises(ForbiddenFileError, match="there are no files") as caught:
            survey("base", tmp_path, patterns)
        assert "1 left out by patterns" in str(caught.value.found)
        with pytest.raises(ForbiddenFileError, match="there are no files"):
            survey("base", tmp_path / "config.json", patterns)


def test_links_to_files_are_followed_out_of_the_tree(tmp_path: Path) -> None:
    """A Hugging Face cache: snapshots/<commit>/<name> -> ../../blobs/<digest>, the folder itself through a link."""
    component(tmp_path / "blobs", {"abc": b"weights"})
    snapshot = tmp_path / "snapshots" / "commit"
    (snapshot / "sub").mkdir(parents=True)
    (snapshot / "config.txt").symlink_to("../../blobs/abc")
    (snapshot / "sub" / "chain.txt").symlink_to(snapshot / "config.txt")
    (tmp_path / "latest").symlink_to(snapshot)
    found = gather(tmp_path / "latest")
    assert paths(found) == ["config.txt", "sub/chain.txt"]
    assert {entry.sha512 for entry in found} == {hashlib.sha512(b"weights").hexdigest()}


@pytest.mark.parametrize("target", ["..", ".", "nowhere", "loop", "/dev/null", "pipe"])
def test_other_links_are_refused(tmp_path: Path, target: str) -> None:
    """THREATS, file system: symbolic links and special files."""
    source = component(tmp_path / "source", {"a.txt": b"x"})
    os.mkfifo(source.parent / "pipe")
    (source / "loop").symlink_to("../pipe" if target == "pipe" else target)
    assert "loop" in refuse(source).message


def test_special_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "neither a file nor a folder" in refuse(tmp_path).message


@pytest.mark.parametrize(
    "name",
    [
        "CON.txt",
        "a:b",
        "trailing.",
        "tab\there",
        "e\u0301",
        "right\u202eleft",
        "back\\slash",
        "bad\udcffname",
    ],
)
def test_names_must_be_portable(tmp_path: Path, name: str) -> None:
    """THREATS, file system: control and bidirectional characters, reserved names, names that are not NFC."""
    component(tmp_path, {name: b"x"})
    assert "portable" in refuse(tmp_path).hint


def test_names_that_collide(tmp_path: Path) -> None:
    component(tmp_path, {"Readme": b"x", "README": b"y"})
    assert "collide" in refuse(tmp_path).message


def test_empty_folder(tmp_path: Path) -> None:
    assert "no files" in refuse(tmp_path).message


def test_missing_source(tmp_path: Path) -> None:
    with pytest.raises(UncheckedError, match="there is no"):
        survey("base", tmp_path / "missing")


def test_too_deep(tmp_path: Path) -> None:
    component(tmp_path, {"/".join("a" * 66) + "/x": b""})
    assert "too deeply" in refuse(tmp_path).message


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect_module, "MAX_FILES", 2)
    component(tmp_path, dict.fromkeys("abc", b""))
    assert "too many files" in refuse(tmp_path).message


def test_small_files_are_written_by_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All files of what is written together are open at once: of eight threads they would be too many."""
    monkeypatch.setattr(collect_module, "THREADS", 8)
    monkeypatch.setattr(files, "TOGETHER_FILES", 2)
    component(tmp_path, {f"{number}.txt": b"%d" % number for number in range(60)})
    inside, most = 0, 0

    class Counting:
        def one(self, *given: Any) -> Digested:
            return ONLY_DIGESTED.one(*given)

        def many(self, *given: Any) -> list[Digested]:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            time.sleep(0.002)
            inside -= 1
            return ONLY_DIGESTED.many(*given)

    found = collect("base", "data", survey("base", tmp_path), Counting(), silent)
    assert len(found.entries) == 60
    assert most == 1


@pytest.mark.parametrize(
    "suffix", ["bin", "ckpt", "dill", "joblib", "mar", "pickle", "pkl", "pt", "pth", "ptl", "so"]
)
def test_a_name_alone_refuses_nothing(tmp_path: Path, suffix: str) -> None:
    component(tmp_path, {f"sub/model.{suffix.upper()}": b"anything"})
    assert len(gather(tmp_path)) == 1


def test_pickles_by_content(tmp_path: Path) -> None:
    """THREATS, content: pickle by content rather than by name."""
    component(tmp_path, {"weights.txt": pickle.dumps({"a": 1})})
    assert "weights.txt is or holds a pickle" in refuse(tmp_path, "data").message


@pytest.mark.parametrize("kind", ["model", "adapter", "guard", "tokenizer"])
@pytest.mark.parametrize(
    ("name", "data"),
    [("modeling_x.py", b"print(1)\n"), ("sub/op.SO", b"\x7fELF"), ("weights.bin", b"\x7fELF")],
)
def test_code_beside_weights(tmp_path: Path, kind: str, name: str, data: bytes) -> None:
    """THREATS, content: Python code in a model folder."""
    component(tmp_path, {name: data})
    assert "is code" in refuse(tmp_path, kind).message


def test_code_elsewhere_is_not_airlifts_business(tmp_path: Path) -> None:
    component(tmp_path, {"canary.py": b"import os\nprint(1)\n", "config.json": b"not json"})
    assert paths(gather(tmp_path, "data")) == ["canary.py", "config.json"]


@pytest.mark.parametrize(
    "document",
    [
        '{"auto_map": {"AutoModel": "org/repo--modeling.X"}}',
        '{"text_config": [{"auto\\u005fmap": {}}]}',
        '{"custom_pipelines": {"x": {"impl": "x.X"}}}',
        '{"auto_map": 1, "a": 1, "a": 2}',
        "not json",
        "[" * 100_000,
    ],
)
@pytest.mark.parametrize("name", ["config.json", "sub/tokenizer_config.json"])
def test_remote_code_in_a_configuration(tmp_path: Path, document: str, name: str) -> None:
    """THREATS, content: auto_map remote code in a model folder."""
    component(tmp_path, {name: document.encode()})
    assert name in refuse(tmp_path).message


def test_configurations_with_floats_are_fine(tmp_path: Path) -> None:
    component(
        tmp_path,
        {"config.json": b'{"dropout": 0.1, "list": [{"x": 1e-5}]}', "other.json": b'{"auto_map": 1}'},
    )
    assert len(gather(tmp_path)) == 2


def test_configurations_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "MAX_JSON_BYTES", 8)
    component(tmp_path, {"config.json": b'{"aaaaaaaa": 1}'})
    assert "too long" in refuse(tmp_path).message


def index(**names: object) -> bytes:
    return json.dumps({"metadata": {}, "weight_map": names}).encode()


def test_index_of_its_own_folder(tmp_path: Path) -> None:
    component(
        tmp_path,
        {
            "sub/model.safetensors.index.json": index(wte="x.safetensors", head="x.safetensors"),
            "sub/x.safetensors": weights(1),
        },
    )
    assert len(gather(tmp_path)) == 2


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    names = {"wte": "x.safetensors", "tail": "x.safetensors"}
    component(tmp_path, {"model.safetensors.index.json": index(**names), "x.safetensors": weights(1)})
    refused = refuse(tmp_path)
    assert "lists 1 tensors that are not where it says, and not 1 that are there" in refused.message
    assert "accept: [{what: drift" in refused.hint
    found = collected(tmp_path, "drift")
    assert [(met.what, met.path) for met in found.met] == [("drift", "model.safetensors.index.json")]
    assert len(gather(tmp_path, "data")) == 2


def collected(source: Path, *accepted: str, kind: str = "model") -> Collected:
    found = survey("base", source)
    return collect("base", kind, found, ONLY_DIGESTED, silent, accepted=frozenset(accepted))


def test_what_is_accepted_is_met_and_the_rest_is_refused(tmp_path: Path) -> None:
    component(tmp_path, {"a.pkl": pickle.dumps({"a": 1}), "b.py": b"print(1)\n"})
    with pytest.raises(ForbiddenFileError, match="is code"):
        collected(tmp_path, "pickle")
    found = collected(tmp_path, "pickle", "code")
    assert [(met.what, met.path) for met in found.met] == [("pickle", "a.pkl"), ("code", "b.py")]
    assert paths(found.entries) == ["a.pkl", "b.py"]
    assert found.unrecognised == ()


def test_what_is_not_recognised_is_told(tmp_path: Path) -> None:
    component(
        tmp_path, {"a.bin": noise(1, 5000), "b.7z": b"7z\xbc\xaf\x27\x1c" + noise(1, 50), "c.json": b"{}"}
    )
    assert collected(tmp_path).unrecognised == ("a.bin", "b.7z: 7z archive")


@pytest.mark.parametrize(
    "data",
    [
        index(a="../x.safetensors"),
        index(a="/x.safetensors"),
        index(a="missing.safetensors"),
        index(a="sub\\x.safetensors"),
        index(a=1),
        b"[]",
        b'{"weight_map": []}',
        b"{}",
        b"\xff",
    ],
)
def test_index_that_points_elsewhere(tmp_path: Path, data: bytes) -> None:
    """THREATS, content: an index file that points outside its folder."""
    component(tmp_path, {"sub/model.safetensors.index.json": data, "x.safetensors": weights(1)})
    assert "model.safetensors.index.json" in refuse(tmp_path).message


@pytest.mark.parametrize(
    "data",
    [
        b"short",
        weights(1)[:-1],
        weights(1) + b"x",
        safetensors({"a": ("BF16", (3,), b"12")}),
        (1 << 40).to_bytes(8, "little") + b"{}",
    ],
)
def test_malformed_safetensors(tmp_path: Path, data: bytes) -> None:
    """THREATS, parser: safetensors with holes, headers over 100 MB, truncated."""
    component(tmp_path, {"model.safetensors": data})
    error = refuse(tmp_path)
    assert "model.safetensors is not a valid safetensors file" in error.message
    assert error.exit_code == 2


@pytest.mark.parametrize("data", [b"short", gguf()[:-9], gguf(counts=(1, 0)), b"GGML" + gguf()[4:]])
def test_malformed_gguf(tmp_path: Path, data: bytes) -> None:
    """Threat, parser: what claims to be GGUF and is not would be of no use to any library on the high side."""
    component(tmp_path, {"MODEL.GGUF": data})
    error = refuse(tmp_path)
    assert "MODEL.GGUF is not a valid gguf file" in error.message
    assert error.exit_code == 2


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_gguf_of_any_version_is_carried(tmp_path: Path, version: int) -> None:
    component(tmp_path, {"model.gguf": gguf(version=version)})
    assert [entry.path for entry in gather(tmp_path)] == ["model.gguf"]


def test_gguf_that_cannot_be_placed_is_carried(tmp_path: Path) -> None:
    """Broke: a key that stands twice, or an alignment of another type, was refused though nothing is damaged."""
    component(tmp_path, {"model.gguf": gguf((), [pair("a", 0, b"x")] * 2)})
    assert [entry.path for entry in gather(tmp_path)] == ["model.gguf"]


def test_a_file_that_grows_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(noise(1, 1 << 20))
    once = threading.Event()

    def grow(_count: int) -> None:
        if not once.is_set():
            once.set()
            with path.open("ab") as file:
                file.write(b"more")

    with pytest.raises(UncheckedError, match="changed while it was read"):
        collect("base", "model", survey("base", tmp_path), ONLY_DIGESTED, grow)


def test_a_file_that_is_rewritten_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(noise(1, 100_000))

    def rewrite(_count: int) -> None:
        path.write_bytes(noise(2, 100_000))
        os.utime(path, ns=(1, 1))

    with pytest.raises(UncheckedError, match="changed while it was read"):
        collect("base", "model", survey("base", tmp_path), ONLY_DIGESTED, rewrite)


@pytest.mark.parametrize("size", [10, 1000, 1001, 100_000])
def test_a_small_file_that_changes_while_it_is_read(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read at once, and yet somebody may write to it before or after."""
    path, real = tmp_path / "a.dat", files.read_at
    path.write_bytes(noise(1, 1000))

    def read(descriptor: int, offset: int, length: int) -> bytes:
        if length > files.SMALL_BYTES:  # not by the gate
            path.write_bytes(noise(2, size))
            os.utime(path, ns=(1, 1))
        return real(descriptor, offset, length)

    monkeypatch.setattr(files, "read_at", read)
    with pytest.raises(UncheckedError, match="changed while it was read"):
        collect("base", "model", survey("base", tmp_path), ONLY_DIGESTED, silent)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    component(tmp_path, {"a.dat": b"x"})
    found = survey("base", tmp_path)
    (tmp_path / "a.dat").unlink()
    with pytest.raises(UncheckedError):
        collect("base", "model", found, ONLY_DIGESTED, silent)


def test_a_link_that_leads_out_of_the_source_is_told(tmp_path: Path) -> None:
    """It is followed, for a cache is made of links; but nobody should sign what lies elsewhere unaware."""
    source, secret = tmp_path / "model", tmp_path / "secret.txt"
    source.mkdir()
    secret.write_text("x")
    (source / "own.txt").write_text("y")
    (source / "within.txt").symlink_to("own.txt")
    (source / "notes.txt").symlink_to(secret)
    told = led_outside("a", source, survey("a", source))
    assert told == (f"a/notes.txt is a link to {secret.resolve()}, outside of its source",)
    assert led_outside("a", secret, survey("a", secret)) == ()


def test_links_of_a_hub_cache_are_not(tmp_path: Path) -> None:
    snapshot, blobs = (
        tmp_path / "models--o--n" / "snapshots" / ("0" * 40),
        tmp_path / "models--o--n" / "blobs",
    )
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "abc").write_text("x")
    (snapshot / "config.json").symlink_to("../../blobs/abc")
    assert led_outside("a", snapshot, survey("a", snapshot)) == ()
