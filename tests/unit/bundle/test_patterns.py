"""Which files of a source make a component: patterns, leftovers, and what is said of those left out."""

import doctest
import hashlib

import pytest

from airlift.bundle import patterns
from airlift.bundle.patterns import LeftOut, Patterns, leftover, may_lack, of_source
from airlift.errors import MalformedError

PATHS = ("config.json", "model.safetensors", "optimizer.pt", "run-5/config.json", "run-5/rng_state.pth")


def test_the_example_in_the_documentation_is_true() -> None:
    assert doctest.testmod(patterns).failed == 0


@pytest.mark.parametrize(
    ("include", "exclude", "kept"),
    [
        ((), (), PATHS),
        (("*.json",), (), ("config.json", "run-5/config.json")),
        (("**.json",), (), ("config.json", "run-5/config.json")),
        (("*/*.json",), (), ("run-5/config.json",)),
        (("config.json",), (), ("config.json",)),
        (("run-5",), (), ()),
        (("*.JSON",), (), ()),
        (("*.json", "*.safetensors"), ("run-?/*",), ("config.json", "model.safetensors")),
        ((), ("*.p[t]*",), ("config.json", "model.safetensors", "run-5/config.json")),
        ((), ("[!cm]*",), ("config.json", "model.safetensors")),
        ((), ("*",), ()),
    ],
)
def test_globs_are_over_the_whole_path(
    include: tuple[str, ...], exclude: tuple[str, ...], kept: tuple[str, ...]
) -> None:
    chosen = Patterns(include, exclude)
    assert tuple(path for path in PATHS if not chosen.leave_out(path)) == kept


def test_patterns_that_fit_nothing_are_found() -> None:
    assert Patterns((), ("*.pt", "*.pht", "run-5/*", "run-6/*")).idle(PATHS) == ("*.pht", "run-6/*")
    assert Patterns(("*.none",), ()).idle(PATHS) == ()


@pytest.mark.parametrize(
    ("path", "top"),
    [
        (".DS_Store", ".DS_Store"),
        ("a/.ds_store", "a/.ds_store"),
        ("a/._config.json", "a/._config.json"),
        ("Thumbs.db", "Thumbs.db"),
        ("a/Desktop.ini", "a/Desktop.ini"),
        (".git/HEAD", ".git"),
        ("a/.gitattributes", "a/.gitattributes"),
        (".github/workflows/x.yml", ".github"),
        ("a/.cache/huggingface/b.lock", "a/.cache"),
        (".huggingface/x", ".huggingface"),
        ("a/b/.ipynb_checkpoints/c.ipynb", "a/b/.ipynb_checkpoints"),
        ("__pycache__/model.pyc", "__pycache__"),
        (".hidden", None),
        ("git", None),
        ("a.git", None),
        ("_.json", None),
        ("cache/x", None),
        ("thumbs.db.txt", None),
        ("config.json", None),
    ],
)
def test_leftovers(path: str, top: str | None) -> None:
    assert leftover(path) == top


def test_what_others_list_may_be_lacking() -> None:
    source = {"kind": "path", "path": "x", "exclude": ["*.pt"]}
    assert of_source(source) == Patterns((), ("*.pt",))
    assert [may_lack(source, path) for path in ("a.pt", "a/.DS_Store", "a.json")] == [True, True, False]


def test_what_was_left_out_is_counted_and_named() -> None:
    assert LeftOut.of(()) is None
    assert LeftOut.of(("b", "a")) == LeftOut(2, ("a", "b"))
    many = LeftOut.of(f"{number:05}" for number in range(3000))
    assert many is not None
    assert (many.count, len(many.names), many.names[-1]) == (3000, patterns.MAX_NAMES, "00999")
    assert LeftOut.from_json(many.to_json(), "x") == many
    odd = LeftOut.of(("bell\a", "\udcff", "\u202ex", "l" * 5000))
    assert odd is not None
    assert odd.names[:3] == ("\\u202ex", "\\udcff", "bell\\x07")
    assert odd.names[3] == "l" * 4079 + "~" + hashlib.sha256(b"l" * 5000).hexdigest()[:16]
    assert LeftOut.from_json(odd.to_json(), "x") == odd


@pytest.mark.parametrize("paths", [("a\n", "a\\n"), ("l" * 5000, "l" * 4999 + "m"), ("'\t\"", "'\\t\"")])
def test_no_two_files_that_were_left_out_have_one_name(paths: tuple[str, str]) -> None:
    """Threat: a name that hides another one, so that a vendor's signature seems to cover more than it does."""
    found = LeftOut.of(paths)
    assert found is not None
    assert (found.count, len(found.names)) == (2, 2)


@pytest.mark.parametrize("names", [[], ["a"], ["a", "a"], ["b", "a"], ["a", ""], ["a", "b", "c"]])
def test_names_must_fit_their_count(names: list[str]) -> None:
    with pytest.raises(MalformedError, match="sorted, distinct and complete"):
        LeftOut.from_json({"count": 2, "names": names}, "x")
