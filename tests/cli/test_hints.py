"""What goes wrong on a command line ends with the command that was meant, or one like it (SPEC 14-12)."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import World
from tests.cli.test_help import LEAVES
from tests.cli.test_named_commands import named
from tests.cli.transcript import inside

COMMAND = re.compile(r"`(airlift [^`]+)`")


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_an_option_that_is_none_is_answered_with_an_example(tmp_path: Path, path: tuple[str, ...]) -> None:
    said = inside(*path, "--no-such-option", "--format", "json", cwd=tmp_path).expect(2)
    hint = said.error["hint"]
    shown = COMMAND.findall(hint)
    assert shown
    assert all(command.startswith(f"airlift {' '.join(path)}") for command in shown)
    assert named(hint) == []
    assert "--help" not in hint


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("low", "relese"), "perhaps you mean `airlift low release`"),
        (("hgih", "status"), "perhaps you mean `airlift high`"),
        (("high", "policy", "shw"), "perhaps you mean `airlift high policy show`"),
    ],
)
def test_a_slip_is_understood(tmp_path: Path, words: tuple[str, ...], hint: str) -> None:
    assert inside(*words, "--format", "json", cwd=tmp_path).expect(2).error["hint"] == hint


def test_sign_with_nothing_says_what_waits_and_for_whom(prepared: World) -> None:
    error = prepared.quick("low", "sign", "--format", "json").expect(2).error
    assert error["message"] == "nothing was given to sign with"
    assert error["found"] == "release (demo@5) lacks 1 of 2 signatures, of release-di"
    assert "`airlift low sign --key release-di.key`" in error["hint"]


def test_sign_where_nothing_is_pending_says_where_to_look(world: World) -> None:
    world.quick("low", "sign", "--key", "keys/release-di.key").expect(0)
    error = world.quick("low", "sign", "--format", "json").expect(2).error
    assert error["message"] == "nothing is pending"
    assert "`airlift low list`" in error["hint"]


def test_status_of_a_depot_says_who_may_sign(prepared: World) -> None:
    (pending,) = prepared.quick("low", "status", "--format", "json").expect(0).data["pending"]
    assert pending["may_sign"] == ["release-di"]
    assert "may sign: release-di" in prepared.quick("low", "status").out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ((), "`airlift high relay VOLUME... --to NAME --output DIR`"),
        (("--to", "bravo"), "`airlift high relay VOLUME... --to NAME --output DIR`"),
        (("--store",), "`airlift high relay VOLUME... --store`"),
    ],
)
def test_relay_says_its_ways(prepared: World, words: tuple[str, ...], hint: str) -> None:
    error = prepared.quick("high", "relay", *words, "--format", "json").expect(2).error
    assert hint in error["hint"]


def test_what_is_misused_below_the_command_line_gets_an_example(prepared: World) -> None:
    """An error that knows no command: the time of a question, the size of a medium."""
    error = prepared.quick("provenance", "at", "yesterday", "--format", "json").expect(2).error
    assert error["hint"] == "for example: `airlift provenance at 2026-03-03T12:00:00Z`"


PIN = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("https://m.example/x", "--digest", "sha256:0123"), "correct --digest"),
        (("https://m.example/x", "--digest", PIN.upper()), "correct --digest"),
        (("https://m.example/x",), "pin it by one --digest"),
        (("s3://models/x", "--version", "null"), "pin it by --digest"),
        (("https://m.example/x/", "--digest", PIN), "--digests"),
        (("https://m.example/x", "--digests", "SUMS"), "--digests"),
        (("https://m.example/x", "--digest", PIN, "--path", "../x"), "--path"),
        (("https://m.example/x", "--digest", PIN, "--exclude", "*.bin"), "correct or remove it"),
        (("s3://models/x", "--digest", PIN, "--endpoint", "127.0.0.1:80"), "correct --endpoint"),
        (("https://anna:hunter2@m.example/x", "--digest", PIN), "see docs/sources.md"),
        (("oci://m.example/x@sha256:01",), "skopeo inspect"),
        (("oci://127.0.0.1:9/x@" + PIN, "--form", "layout", "--include", "*"), "--form files"),
        (("a/b/c", "--revision", "0" * 40), "ORG/NAME"),
        (("a/b", "--revision", "main"), "name a commit"),
        (("a/b", "--revision", "0" * 40, "--digest", PIN), f"airlift low fetch a/b --revision {'0' * 40}"),
        (("https://m.example/x", "--digest", PIN, "--version", "1"), "leave it out"),
        (("https://m.example/x/", "--digests", "LIST"), "sha256sum"),
        (("https://anna:hunter2@m.example/x", "--revision", "x"), "airlift low fetch https://m.example/x"),
        (("https://anna:hunter2@m.example/x", "--digest", PIN, "--version", "1"), "leave it out"),
    ],
)
def test_a_hint_for_an_option_names_the_option(world: World, words: tuple[str, ...], hint: str) -> None:
    """Nobody who gave options has a file to correct, and keys of a manifest are no options."""
    (world.folder / "SUMS").write_text(f"{PIN[7:]}  x\n")
    (world.folder / "LIST").write_text("what is this\n")
    error = world.quick("low", "fetch", *words, "--format", "json").expect(2).error
    assert hint in error["hint"]
    assert "correct the file" not in error["hint"]
    told = " ".join(str(error[key]) for key in ("message", "expected", "hint"))
    assert not re.search(r"`(digests?|version|files|path|form|include|exclude|endpoint)\b", told)
    assert "hunter2" not in str(error)
    assert not (world.folder / "depot/fetched").exists() or not list(
        (world.folder / "depot/fetched").glob("*.*")
    )


def test_a_hint_for_a_manifest_names_its_keys(world: World) -> None:
    (world.folder / "r.yaml").write_text(
        "airlift: 1\nrelease: r\nversion: '1'\nmarking: {level: UNCLASSIFIED}\n"
        "components: [{name: b, kind: model, version: '1', license: MIT, "
        f"source: {{https: 'https://m.example/x/', digest: '{PIN}'}}}}]\n"
    )
    error = world.quick("low", "release", "r.yaml", "--replace", "--format", "json").expect(2).error
    assert "`files` or `digests`" in error["hint"]


def test_a_hint_where_patterns_leave_nothing(world: World) -> None:
    words = ("low", "fetch", "https://m.example/x", "--digest", PIN, "--include", "*.bin", "--format", "json")
    error = world.quick(*words).expect(5).error
    assert error["hint"] == "correct --include and --exclude, or leave them out"
