"""Completion in the real shells: what is typed, a tab, and what stands there then."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airlift import strict
from airlift.cli.manual import completion, words
from airlift.cli.manual.tree import Command, read
from airlift.layouts import layouts
from tests.cli.conftest import World
from tests.cli.test_help import TREE
from tests.cli.transcript import inside
from tests.conftest import lacking
from tests.support import pages

SHELLS = ("bash", "zsh", "fish")
PATIENCE = 60.0  # seconds, on a busy machine
START = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source {script}"),
    "zsh": (
        ["zsh", "-f", "-i"],
        "autoload -U compinit; compinit -u -D; source {script}; bindkey -e",
    ),
}

BY_ITSELF = {
    "airlift high ex": "airlift high export ",
    "airlift prov": "airlift provenance ",
    "airlift high export --lay": "airlift high export --layout ",
    "airlift low bundle demo@1 --bundler-key x.key --eff": "airlift low bundle demo@1 --bundler-key x.key --effort ",
    "airlift low bundle --effort h": "airlift low bundle --effort high ",
    "airlift high status --format=j": "airlift high status --format=json ",
    "airlift low policy sh": "airlift low policy show ",
    "airlift high export --layout hf-m": "airlift high export --layout hf-mirror ",
    "airlift low rotate b": "airlift low rotate bundler ",
    "airlift high init --root depot/ro": "airlift high init --root depot/root.json ",
    "airlift low list --depot dep": "airlift low list --depot depot/",
    "airlift completion f": "airlift completion fish ",
    "airlift completion --names depot": "airlift completion --names depot-releases ",
}
"""What needs no Python."""

NAMES = {
    "airlift low bundle demo@": ("airlift low bundle demo@", {"demo@1", "demo@2", "demo@3", "demo@5"}),
    "airlift low bundle demo@1 --from n": ("airlift low bundle demo@1 --from none ", {"none"}),
    "airlift low bundle demo@1 --for al": ("airlift low bundle demo@1 --for alpha ", {"alpha"}),
    "airlift high rollback --to d": ("airlift high rollback --to demo@1 ", {"demo@1"}),
    "airlift high activate --enclave enclave d": (
        "airlift high activate --enclave enclave demo@1 ",
        {"demo@1"},
    ),
}
"""What a shell asks airlift for: what one tab makes of a line, and all that is offered."""


@pytest.fixture(scope="module")
def here(prepared_running: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world whose depot knows an enclave, with the scripts, and a program that keeps a list of its calls."""
    world = prepared_running.copy(tmp_path_factory.mktemp("completion") / "world")
    world.quick("low", "enrol", "alpha", "--ledger-key", "keys/ledger.pub").expect(0)
    for shell in SHELLS:
        script = world.quick("completion", shell).expect(0).out
        (world.folder / f"script.{shell}").write_text(script)
    pages.write_programs(world.folder / "bin")
    program = world.folder / "bin/airlift"
    program.write_text(program.read_text().replace("exec ", f'echo "$@" >> {world.folder}/calls\nexec ', 1))
    (world.folder / "calls").touch()
    return world


def environment(world: World, home: Path | None = None) -> dict[str, str]:
    """Return what a shell starts with: no options of its user, unless it has a home."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AIRLIFT_D")}
    paths = f"{world.folder / 'bin'}:{os.environ['PATH']}"
    python = f"{os.environ.get('PYTHONPATH', '')}:{Path(__file__).parents[2]}".strip(":")
    user = home or world.folder
    homes = {"HOME": str(user), "XDG_CONFIG_HOME": f"{user}/.config", "XDG_DATA_HOME": f"{user}/.local/share"}
    terminal = {"TERM": "dumb", "COLUMNS": "200", "INPUTRC": "/dev/null"}
    return {**kept, **homes, **terminal, "PATH": paths, "PYTHONPATH": python}


class Keyboard:
    """Types into a shell on a terminal."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal

    def press(self, keys: str, until: Callable[[str], bool]) -> str:
        """Type keys, and return what the shell wrote as soon as that is what is waited for, or it never will be."""
        os.write(self._terminal, keys.encode())
        said, end = "", time.monotonic() + PATIENCE
        while not until(said) and time.monotonic() < end:
            ready, _, _ = select.select([self._terminal], [], [], 0.1)
            said += os.read(self._terminal, 65536).decode(errors="replace") if ready else ""
        return said

    def complete(self, typed: str, line: str) -> None:
        """Type a line and a tab, see that it becomes ``line``, and take it away."""
        said = self.press(f"{typed}\t", lambda said: line in shown(said))
        assert line in shown(said), said
        self.press("\x15", bool)


@contextmanager
def shell(name: str, world: World, home: Path | None = None, setup: str = "") -> Iterator[Keyboard]:
    """Run an interactive shell that has read the script, or the files of a home and what is said besides."""
    argv, usual = START[name]
    argv, setup = ([name, "-i"], setup or ":") if home else (argv, usual.format(script=f"script.{name}"))
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - replaced at once
        os.chdir(world.folder)
        os.execvpe(argv[0], argv, environment(world, home))  # noqa: S606 - the shell that is tested
    keyboard = Keyboard(terminal)
    try:
        keyboard.press(f"{setup}; PS1='$ '; echo rea''dy\n", lambda said: "ready\r\n" in said)
        yield keyboard
    finally:
        os.close(terminal)  # a terminal that is gone ends its shell
        os.waitpid(pid, 0)


def shown(said: str) -> str:
    """Return the last line as it stands on the terminal."""
    line: list[str] = []
    at = 0
    for letter in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x07", "", said).rpartition("\n")[2]:
        if letter == "\r":
            at = 0
        elif letter == "\b":
            at -= 1
        else:
            line[at : at + 1] = [letter]
            at += 1
    return "".join(line).partition("$ ")[2] or "".join(line)


def offered(world: World, line: str, home: Path | None = None) -> list[tuple[str, str]]:
    """Return what fish offers for a line, and what it says of each."""
    read = [] if home else ["--no-config", "-C", "source script.fish"]
    done = subprocess.run(
        ["fish", *read, "-c", f"complete -C '{line}'"],
        cwd=world.folder,
        env=environment(world, home),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert done.stderr == ""
    pairs = (row.partition("\t") for row in done.stdout.splitlines())
    return [(word, meaning) for word, _, meaning in pairs]


@pytest.mark.parametrize("name", START)
def test_a_tab_completes_without_python(require_tool: Callable[[str], str], here: World, name: str) -> None:
    require_tool(name)
    before = (here.folder / "calls").read_text()
    with shell(name, here) as keyboard:
        for typed, line in BY_ITSELF.items():
            keyboard.complete(typed, line)
    assert (here.folder / "calls").read_text() == before


@pytest.mark.parametrize("name", START)
def test_a_tab_completes_names(require_tool: Callable[[str], str], here: World, name: str) -> None:
    """Also where a shell takes ``@`` for the end of a word."""
    require_tool(name)
    with shell(name, here) as keyboard:
        for typed, (line, _) in NAMES.items():
            keyboard.complete(typed, line)


def test_fish_completes(require_tool: Callable[[str], str], here: World) -> None:
    require_tool("fish")
    before = (here.folder / "calls").read_text()
    for typed, line in BY_ITSELF.items():
        assert line.rstrip().rpartition(" ")[2] in [word for word, _ in offered(here, typed)]
    assert (here.folder / "calls").read_text() == before
    for typed, (_, names) in NAMES.items():
        assert {word for word, _ in offered(here, typed)} == names
    assert dict(offered(here, "airlift high ex"))["export"].startswith("serve an installed release")


def test_nothing_is_there_to_be_named(
    require_tool: Callable[[str], str], here: World, tmp_path: Path
) -> None:
    require_tool("fish")
    shutil.copytree(here.folder / "bin", tmp_path / "bin")
    shutil.copy(here.folder / "script.fish", tmp_path)
    assert offered(World(tmp_path), "airlift low scan ") == []


@pytest.fixture(scope="module")
def home(here: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home after the commands of docs/manual.md."""
    folder = tmp_path_factory.mktemp("home")
    block = next(block for block in pages.blocks("docs/manual.md") if "completion fish" in block)
    subprocess.run(
        ["bash", "-euc", block], cwd=folder, env=environment(here, folder), check=True, timeout=PATIENCE
    )
    (folder / ".zshrc").write_text(
        "fpath=(~/.zfunc $fpath)\nautoload -U compinit; compinit -u -D\nbindkey -e\n"
    )
    return folder


LINE = ("airlift high ex", "airlift high export ")


@pytest.mark.parametrize(
    ("name", "setup"),
    [
        ("bash", "complete -r; . /usr/share/bash-completion/bash_completion"),
        ("bash", ""),
        ("zsh", ""),
    ],
    ids=["bash-completion", "bash", "zsh"],
)
def test_what_is_documented_installs_it(
    require_tool: Callable[[str], str], here: World, home: Path, name: str, setup: str
) -> None:
    require_tool(name)
    if setup and not Path(setup.rpartition(" ")[2]).is_file():
        lacking("bash-completion is not installed")
    with shell(name, here, home, setup) as keyboard:
        keyboard.complete(*LINE)


def test_what_is_documented_installs_it_for_fish(
    require_tool: Callable[[str], str], here: World, home: Path
) -> None:
    require_tool("fish")
    assert [word for word, _ in offered(here, LINE[0], home)] == ["export"]


HOSTILE = "airlift low scan --depot $(touch${IFS}pwned;touch${IFS}pwned2) d"


@pytest.mark.parametrize("name", SHELLS)
def test_what_is_typed_is_never_run(require_tool: Callable[[str], str], here: World, name: str) -> None:
    """The folder that is named is handed on to airlift, as it was typed."""
    require_tool(name)
    before = (here.folder / "calls").read_text()
    if name == "fish":
        offered(here, HOSTILE)
    else:
        with shell(name, here) as keyboard:
            keyboard.press(f"{HOSTILE}\t", lambda _: (here.folder / "calls").read_text() != before)
    asked = (here.folder / "calls").read_text().removeprefix(before)
    assert asked.startswith("completion --names depot-releases")
    assert not list(here.folder.glob("pwned*"))


def asked_of(script: Path, lines: list[str]) -> list[list[str]]:
    """Return what bash knows of each ``PATH|OPTION|NUMBER``: the commands below, the flags and two kinds."""
    loop = (
        'while IFS="|" read -r path option number; do _airlift_at "$path" "$option" "$number"; '
        'echo "${below[*]}|${flags[*]}|$value|$place"; done'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", f"source {script}; {loop}"],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return [line.split("|") for line in done.stdout.splitlines()]


def test_every_command_and_option_is_known(require_tool: Callable[[str], str], here: World) -> None:
    require_tool("bash")
    paths = [" ".join(("airlift", *path)) for path in TREE]
    known = asked_of(here.folder / "script.bash", [f"{path}||0" for path in paths])
    assert len(known) == len(TREE)
    for declared, (below, flags, value, _) in zip(TREE.values(), known, strict=True):
        options = [one for one in declared.params if one.param_type_name == "option"]
        assert below.split() == list(getattr(declared, "commands", {}))
        assert set(flags.split()) >= {name for one in options for name in (*one.opts, *one.secondary_opts)}
        assert value == ""


def every_option() -> Iterator[tuple[Command, str, str]]:
    for command in read().all():
        for option in command.options:
            for name in option.names:
                yield command, name, str(words.of_option(command, option)) if option.value else ""


def test_every_option_with_a_value_waits_for_it(require_tool: Callable[[str], str], here: World) -> None:
    require_tool("bash")
    every = list(every_option())
    known = asked_of(here.folder / "script.bash", [f"{' '.join(c.path)}|{name}|0" for c, name, _ in every])
    assert [value for _, _, value, _ in known] == [kind for _, _, kind in every]
    kinds = {kind.split()[0] for _, _, kind in every if kind}
    assert kinds == {"words", "files", "folders", "depot-releases", "enclave-releases", "enclaves"}


def test_the_layouts_are_those_that_there_are() -> None:
    assert set(words.LITERAL["LAYOUT"]) == set(layouts.LAYOUTS)


def test_the_scripts_are_read_without_a_word(require_tool: Callable[[str], str], here: World) -> None:
    for name in SHELLS:
        done = subprocess.run(
            [require_tool(name), "-n", str(here.folder / f"script.{name}")],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_name_is_never_more_than_a_word(tmp_path: Path) -> None:
    """Whoever can write in a depot must not say what a shell runs."""
    names = ["ok", "$(touch x)", "`x`", "a b", "-x", "a;b", "\u00e9", "a'b", "a\\b", "a\nb"]
    releases = [{"name": name, "version": "1", "digest": "0"} for name in names]
    (tmp_path / "depot").mkdir()
    (tmp_path / "depot/releases.json").write_bytes(strict.format({"releases": releases}))
    said = inside("completion", "--names", "depot-releases", cwd=tmp_path).expect(0)
    assert said.out == "ok@1\n"
    assert completion.WORD.isdisjoint(" \t\n\"'\\$`;&|<>()[]{}*?!~#=:%^,/")


@pytest.mark.parametrize("given", [(), ("bash", "--names", "enclaves"), ("ksh",), ("--names", "keys")])
def test_what_makes_no_sense_is_usage(tmp_path: Path, given: tuple[str, ...]) -> None:
    said = inside("completion", *given, cwd=tmp_path).expect(2)
    assert "airlift completion" in said.err


def test_a_script_may_be_asked_for_in_json(tmp_path: Path) -> None:
    said = inside("completion", "zsh", "--format", "json", cwd=tmp_path).expect(0)
    assert said.data["script"].startswith("#compdef airlift\n")


@pytest.mark.parametrize("names", completion.Names)
def test_a_damaged_folder_is_an_error_and_none_at_all_is_not(tmp_path: Path, names: completion.Names) -> None:
    said = inside("completion", "--names", names.value, "--format", "json", cwd=tmp_path).expect(0)
    assert said.data == {"names": []}
    for path in ("depot/releases.json", "enclave/history/ab.json", "enclave/releases/ab/x"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("{}")
    code = 0 if names is completion.Names.enclaves else 3
    inside("completion", "--names", names.value, cwd=tmp_path).expect(code)
