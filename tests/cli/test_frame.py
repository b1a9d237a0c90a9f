"""The frame that every command shares: streams, exit codes, the JSON envelope, errors."""

import contextlib
import io
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airlift.cli.frame import bars as drawing
from airlift.cli.frame.bars import Bars, Lines
from airlift.cli.frame.output import Page, cell, envelope, size, to_data
from airlift.cli.frame.session import Run, Verbosity
from airlift.progress import silent, tell
from airlift.shown import clean
from tests.cli.transcript import COMMAND, airlift, inside, on_a_terminal

ESCAPE = "\x1b"
SHOW = "for example: `airlift keys show keys/root-alice.pub keys/root-bob.pub`"
MAKE = "for example: `airlift keys generate release-alice --out /media/alice`"


def test_version(tmp_path: Path) -> None:
    said = airlift("--version", cwd=tmp_path).expect(0)
    assert re.fullmatch(r"airlift \d+\.\d+\.\d+\S*\n", said.out)


def test_a_group_alone_prints_its_help_and_is_a_usage_error(tmp_path: Path) -> None:
    for arguments in (("keys",), ("low",), ("high",), ("provenance",)):
        said = inside(*arguments, cwd=tmp_path).expect(2)
        assert "Usage: airlift" in said.out
        assert "Commands" in said.out
        assert said.err == ""


@pytest.mark.parametrize(
    ("arguments", "command", "message", "hint"),
    [
        (
            ("bogus",),
            "",
            "no such command 'bogus'",
            "for example: `airlift high import /media/disc --activate`",
        ),
        (("keys", "bogus"), "keys", "no such command 'bogus'", "for example: `airlift keys generate "),
        (("keys", "shw"), "keys", "no such command 'shw'", "perhaps you mean `airlift keys show`"),
        (("keys", "show"), "keys show", "missing argument 'FILE'", SHOW),
        (("keys", "show", "x", "--bogus"), "keys show", "no such option: --bogus", SHOW),
        (("keys", "generate", "x", "--scheme", "rsa"), "keys generate", "invalid value for '--scheme'", MAKE),
        (("keys", "generate", "x", "y"), "keys generate", "got unexpected extra argument", MAKE),
        (("keys", "generate", "x", "--out"), "keys generate", "option '--out' requires an argument", MAKE),
    ],
)
def test_usage_errors_look_like_every_other_error(
    tmp_path: Path, arguments: tuple[str, ...], command: str, message: str, hint: str
) -> None:
    said = inside(*arguments, cwd=tmp_path).expect(2)
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[0].startswith(f"error: {message}")
    assert lines[-1].startswith(f"hint: {hint}")

    position = arguments.index("--out") if arguments[-1] == "--out" else len(arguments)
    for words in (("--format", "json"), ("--format=json",)):
        said = inside(*arguments[:position], *words, *arguments[position:], cwd=tmp_path).expect(2)
        assert said.error["code"] == "usage"
        assert said.error["message"].startswith(message)
        assert said.document["command"] == command
        assert said.err == ""


def test_an_error_has_message_then_found_then_hint(tmp_path: Path) -> None:
    said = airlift("keys", "show", "gone.pub", cwd=tmp_path).expect(7)
    assert said.out == ""
    assert said.err.splitlines() == [
        "error: cannot read key gone.pub",
        "  found: No such file or directory",
        "hint: check the key file and its passphrase (--passphrase-file)",
    ]
    told = airlift("keys", "show", "gone.pub", "--format", "json", cwd=tmp_path).expect(7)
    assert told.error == {
        "code": "key-unavailable",
        "exit": 7,
        "message": "cannot read key gone.pub",
        "expected": None,
        "found": "No such file or directory",
        "hint": "check the key file and its passphrase (--passphrase-file)",
    }
    assert told.data == {}


def test_debug_shows_the_traceback_and_only_then(tmp_path: Path) -> None:
    said = airlift("keys", "show", "gone.pub", cwd=tmp_path, environment={"AIRLIFT_DEBUG": "1"})
    assert said.code == 7
    assert "Traceback" in said.err
    assert "error: cannot read key gone.pub" in said.err


def test_a_bug_is_exit_1_with_a_hint_and_no_traceback(tmp_path: Path) -> None:
    """An unforeseen exception: planted with a module that Python imports at start."""
    (tmp_path / "sitecustomize.py").write_text(
        "import airlift.trust.keys.file as keys\n"
        "def broken(*_):\n    raise KeyError('\\x1b[31msurprise')\n"
        "keys.generate = broken\n"
    )
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    arguments = ("keys", "generate", "x", "--no-passphrase")
    said = airlift(*arguments, cwd=tmp_path, environment={"PYTHONPATH": path}).expect(1)
    assert said.err.startswith("error: unexpected failure: KeyError: ")
    assert "hint: this is a bug: run again with AIRLIFT_DEBUG=1" in said.err
    assert ESCAPE not in said.err
    told = airlift(*arguments, "--format", "json", cwd=tmp_path, environment={"PYTHONPATH": path}).expect(1)
    assert (told.error["code"], told.error["exit"]) == ("internal", 1)


def test_hostile_names_reach_the_terminal_escaped(tmp_path: Path) -> None:
    """Report text that carries markup or control characters (THREATS: against the record)."""
    hostile = "a\x1b]0;owned\x07\u202e[red]b[/red]\nhint: rm -rf"
    said = inside("keys", "show", hostile, cwd=tmp_path).expect(7)
    assert ESCAPE not in said.err
    assert "\u202e" not in said.err
    assert "[red]b[/red]\\nhint: rm -rf" in said.err
    assert sum(line.startswith("hint:") for line in said.err.splitlines()) == 1


def test_a_reader_who_leaves_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, "--version"], stdout=writing, stderr=subprocess.PIPE, cwd=tmp_path, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_an_answer_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "keys", "generate", "x", "--no-passphrase", "--format", "json"],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            check=False,
        )
    assert done.returncode == 8
    assert done.stderr.startswith(
        b"error: the answer could not be written, but what the command did is done\n"
    )
    assert (tmp_path / "x.key").is_file()


def test_closed_streams_are_survived(tmp_path: Path) -> None:
    script = f"{' '.join(COMMAND)} keys generate x --no-passphrase >&- 2>&-"
    assert subprocess.run(["/bin/sh", "-c", script], cwd=tmp_path, check=False).returncode == 0


def _writer_of(fifo: Path) -> int:
    """Open a fifo for writing once somebody reads it."""
    for _ in range(600):
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(fifo)


@pytest.fixture
def _heeded() -> Iterator[None]:
    """Undo that a shell lets its background jobs, which may be what runs the tests, ignore interruptions."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heeded")
def test_an_interrupted_command_says_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with subprocess.Popen(
        [*COMMAND, "keys", "show", "x.key", "--passphrase-file", "fifo"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        writer = _writer_of(tmp_path / "fifo")
        out, err = _interrupt(process)
        os.close(writer)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[0] == "error: interrupted; nothing half-done is in effect"
    assert err.splitlines()[-1].startswith("hint: run the same command again")


def _interrupt(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Interrupt a process until it ends: a signal just before a blocking read starts is noticed only after it."""
    for _ in range(10):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=5)
    process.kill()
    raise AssertionError("the command does not heed an interruption")


def test_colours_on_a_terminal_unless_no_color(tmp_path: Path) -> None:
    code, said = on_a_terminal(["keys", "show", "gone"], tmp_path)
    assert code == 7
    assert f"{ESCAPE}[31m" in said
    code, said = on_a_terminal(["keys", "show", "gone"], tmp_path, NO_COLOR="1")
    assert code == 7
    assert f"{ESCAPE}[31m" not in said
    assert "error: cannot read key gone" in said


def test_a_passphrase_is_asked_twice_on_a_terminal(tmp_path: Path) -> None:
    ask = ["keys", "generate", "x"]
    code, said = on_a_terminal(ask, tmp_path, (("new passphrase: ", "secret"), ("again: ", "other")))
    assert code == 2
    assert "the two passphrases differ" in said
    assert list(tmp_path.iterdir()) == []
    code, said = on_a_terminal(ask, tmp_path, (("new passphrase: ", "secret"), ("again: ", "secret")))
    assert code == 0
    assert "secret" not in said
    code, said = on_a_terminal(["keys", "show", "x.key"], tmp_path, (("passphrase of x.key: ", "secret"),))
    assert code == 0
    assert "fingerprint" in said


def test_clean_keeps_letters_and_escapes_what_steers() -> None:
    assert clean("Grüße 東京 😀") == "Grüße 東京 😀"
    assert clean("a\x00\x1b\u202e\u2028\ud800\u200b") == r"a\x00\x1b\u202e\u2028\ud800\u200b"
    assert len(clean("x" * 10_000)) < 5_000


def test_values_become_json() -> None:
    assert to_data({"a": (Path("b"), b"\x01"), 2: {3, 1}}) == {"a": ["b", "01"], "2": [1, 3]}
    assert envelope("x", {"k": "\x1b\u202e"}) == (
        r'{"airlift": 1, "command": "x", "ok": true, "data": {"k": "\u001b\u202e"}}'
    )


def test_cells_and_sizes() -> None:
    assert [cell(v) for v in (None, [], True, ["a", None], {"k": 1})] == ["-", "-", "yes", "a, -", "k 1"]
    assert [size(v) for v in (None, 999, 1_500_000)] == ["-", "999 bytes", "1.5 MB (1500000)"]


def test_a_page_is_not_folded_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    page = Page(sys.stdout)
    page.facts({"digest": "f" * 128})
    page.table(["a", "b"], [["[bold]x", "y" * 200]])
    page.tree("root", [("a\n", [("b", [])])])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"digest  {'f' * 128}"
    assert lines[2] == f"[bold]x  {'y' * 200}"
    assert lines[3:] == ["root", "└── a\\n", "    └── b"]


def test_lines_are_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress elsewhere than on a terminal: the first line after two seconds, then one every ten."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    lines = Lines(stream)
    for second in range(30):
        now[0] = 100.0 + second
        lines("reading\x1b", second, 30)
    lines.close()
    assert stream.getvalue().splitlines() == [
        f"reading\\x1b: {said} left"
        for said in ("6 %, 1 bytes/s, 0:28", "40 %, 1 bytes/s, 0:18", "73 %, 1 bytes/s, 0:08")
    ]


class Drawn(io.StringIO):
    """Looks like a terminal."""

    def isatty(self) -> bool:
        return True


def test_what_is_told_beside_the_progress_is_told_at_once() -> None:
    stream = io.StringIO()
    tell(Lines(stream), "waiting\x1b")
    assert stream.getvalue() == "waiting\\x1b\n"
    drawn = io.StringIO()
    tell(Bars(drawn), "waiting\x1b [bold]")
    assert drawn.getvalue() == "waiting\\x1b [bold]\n"
    tell(silent, "nobody listens")


def _waited(stream: io.StringIO, text: str) -> bool:
    for _ in range(200):
        if text in stream.getvalue():
            return True
        time.sleep(0.05)
    return False


def test_bars_are_drawn_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "FIRST_BAR", 0.05)
    stream = Drawn()
    bars = Bars(stream, "high import")
    assert _waited(stream, "high import")
    bars("[red]reading", 1, 2)
    bars("[red]reading", 1, 2)
    assert _waited(stream, "50 %")
    bars.close()
    bars("writing", 1, 2)
    assert _waited(stream, "writing")
    bars.close()
    assert "[red]reading" in stream.getvalue()


def test_quick_work_draws_nothing() -> None:
    stream = Drawn()
    bars = Bars(stream, "high list")
    bars("reading", 1, 1)
    bars.close()
    assert "reading" not in stream.getvalue()
    assert "high list" not in stream.getvalue()


def test_what_was_announced_gives_way_to_the_next_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "FIRST_BAR", 0.05)
    stream = Drawn()
    bars = Bars(stream, "high activate")
    bars("running canary", 0, 0)
    assert _waited(stream, "running canary")
    assert "high activate" not in stream.getvalue()
    bars.close()


def test_quiet_and_no_progress_say_nothing() -> None:
    assert Run(verbosity=Verbosity.quiet).progress is silent
    assert Run(show_progress=False).progress is silent
    assert isinstance(Run(err=io.StringIO()).progress, Lines)


def test_how_much_is_said() -> None:
    said = {}
    for verbosity in Verbosity:
        run = Run(verbosity=verbosity, err=io.StringIO())
        run.say("a")
        run.detail("b")
        run.warn("c")
        said[verbosity.value] = run.err.getvalue().split("\n")[:-1]  # type: ignore[attr-defined]
    assert said == {
        "quiet": ["warning: c"],
        "normal": ["a", "warning: c"],
        "verbose": ["a", "b", "warning: c"],
    }
