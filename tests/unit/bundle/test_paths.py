"""Portable relative paths: one test for every threat to a file system, with the reason that is given."""

from pathlib import PurePosixPath

import pytest

from airlift.bundle.paths import check_no_collision, check_relative, suffix
from airlift.errors import MalformedError
from tests.vectors.make_bundle import BAD_PATHS, GOOD_PATHS


@pytest.mark.parametrize("text", GOOD_PATHS)
def test_ordinary_names_pass(text: str) -> None:
    assert check_relative(text) == text


@pytest.mark.parametrize(
    ("reason", "texts"),
    [
        ("empty or too long", ["", "x" * 1025, "\u00e4" * 513]),
        ("an empty, '.' or '..' part", ["..", ".", "a/../b", "/etc", "a//b", "a/", "./a", "//server/x"]),
        (
            "a control",
            ["a\0b", "a\nb", "\x7f", "a\x85", "\u202ea", "a\u2067", "\u200e", "a\u00ad", "\ufeffa"],
        ),
        ("a control", ["\ud800", "\ue000", "\U000e0041", "a\u2028b", "a\u3000b", "a\u00a0", "\u0378"]),
        (
            "a control",
            ["C:/x", "C:x", "a\\b", "..\\x", "\\\\?\\x", "a<b", 'a"', "a|b", "a?", "a*", "x:stream"],
        ),
        ("normal form C", ["e\u0301", "\u212b", "\u1100\u1161", "\uf900"]),
        ("leading space or a trailing", ["a.", "a ", "a/b. ", " a", "...", "a /b", "a./b"]),
        (
            "Windows reserves",
            ["nul", "CON", "Aux.txt", "com1.x", "LPT9", "com0", "a/prn", "con .x", "com\u00b2", "conout$"],
        ),
        ("name that is too long", ["n" * 256, "\u65e5" * 86]),
    ],
)
def test_threats_to_the_file_system_are_refused(reason: str, texts: list[str]) -> None:
    """``..``, absolute, drive letters, backslash, NUL, control, bidirectional, reserved, trailing, NFC, over-long."""
    for text in texts:
        with pytest.raises(MalformedError, match=reason) as caught:
            check_relative(text)
        assert (caught.value.found or "").isascii()
        assert (caught.value.found or "").isprintable()


@pytest.mark.parametrize("text", BAD_PATHS)
def test_every_bad_path_of_the_vectors_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        check_relative(text)


@pytest.mark.parametrize(
    "paths",
    [
        [],
        ["a", "b", "a.txt"],
        ["a/b", "a/c", "a.b/c", "ab"],
        ["d/a/x", "e/a/x", "e/b/x"],
    ],
)
def test_distinct_paths_do_not_collide(paths: list[str]) -> None:
    check_no_collision(paths)


@pytest.mark.parametrize(
    ("reason", "paths"),
    [
        ("two paths collide", ["a", "a"]),
        ("two paths collide", ["a", "A"]),
        ("two paths collide", ["x/stra\u00dfe", "x/STRASSE"]),
        ("two paths collide", ["\u03c3", "\u03c2"]),
        ("two paths collide", ["\u00e9", "E\u0301"]),
        ("two paths collide", ["\u212a", "k"]),
        ("two paths collide", ["\u1fb3\u0301", "\u1fb4"]),
        ("two folders collide", ["A/x", "a/y"]),
        ("two folders collide", ["m/A/x", "m/a/x/y"]),
        ("both a file and a folder", ["a", "a/b"]),
        ("both a file and a folder", ["a/b/c", "a/b"]),
        ("both a file and a folder", ["A/b", "a"]),
    ],
)
def test_names_that_collide_after_folding_are_refused(reason: str, paths: list[str]) -> None:
    """Names that collide after NFC or case folding, files and folders alike."""
    for order in (paths, paths[::-1]):
        with pytest.raises(MalformedError, match=reason):
            check_no_collision(order)


@pytest.mark.parametrize(
    "path",
    [
        "a.txt",
        "b/a.tar.gz",
        ".hidden",
        "b/.hidden",
        "b.d/a",
        "a.",
        "a..",
        "..a",
        "a.b.",
        "x",
        "b/..a.b",
        ".a.b",
    ],
)
def test_how_a_path_ends(path: str) -> None:
    assert suffix(path) == PurePosixPath(path).suffix
