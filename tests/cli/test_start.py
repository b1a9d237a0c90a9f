"""A fast start: what each verb loads, in names and numbers; seconds would depend on the machine.

Every library below takes longer to load than most verbs work. A verb loads those that it needs to do what it says,
and no others (docs/decisions/011-a-fast-start.md).
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from airlift.bundle import media_sizes
from airlift.cli.frame import app
from airlift.cli.keys import Scheme
from airlift.cli.low import bundle_options
from airlift.trust.keys import public
from tests.cli.conftest import World

LIBRARIES = {
    "cryptography",
    "jsonschema",
    "numpy",
    "packaging",
    "pydantic",
    "rich",
    "securesystemslib",
    "sqlite3",
    "tuf",
    "urllib3",
    "yaml",
    "zstandard",
}
SHOW = """
import sys
folders = {name for name, module in sys.modules.items() if "." in name and hasattr(module, "__path__")}
print(*sorted(sys.modules.keys() - folders), file=sys.stderr)
"""
RUN = f"""
import sys
from airlift.cli.main import main
code = main(sys.argv[1:])
{SHOW}
sys.exit(code)
"""
DECLARATIONS = f"from airlift.cli.frame import app\napp.declare()\n{SHOW}"

KEYS = {"cryptography", "securesystemslib"}
RECORD = KEYS | {"sqlite3", "yaml"}
SIGNED = RECORD | {"packaging", "tuf", "urllib3"}  # urllib3 comes with tuf

# What each verb may load: libraries, and how many modules of airlift.
VERBS: dict[tuple[str, ...], tuple[set[str], int]] = {
    ("--help",): ({"rich"}, 18),  # rich draws it
    ("--version",): (set(), 18),
    ("completion", "fish"): (set(), 65),
    ("completion", "--names", "depot-releases"): (set(), 18),
    ("completion", "--names", "enclave-releases"): (set(), 18),
    ("status",): (RECORD | {"packaging"}, 123),
    ("keys", "show", "keys/ledger.pub"): (KEYS, 21),
    ("low", "status"): (KEYS, 82),
    ("low", "list"): (KEYS, 87),
    ("low", "log"): (KEYS, 64),
    ("low", "check", "VOLUMES"): (KEYS | {"numpy", "zstandard"}, 105),
    ("high", "inspect", "VOLUMES"): (KEYS, 61),
    ("high", "status"): (RECORD | {"packaging"}, 104),
    ("high", "list"): (RECORD | {"packaging"}, 104),
    ("high", "policy", "show"): (RECORD | {"packaging"}, 83),
    ("high", "check"): (RECORD | {"packaging"}, 88),
    ("high", "plan", "VOLUMES"): (SIGNED, 148),
    ("high", "verify", "VOLUMES"): (SIGNED, 148),
    ("provenance", "show", "guard"): (RECORD, 79),
    ("provenance", "trace", "guard"): (RECORD, 79),
    ("provenance", "at", "2999-01-01"): (RECORD, 79),
    ("provenance", "during", "guard"): (RECORD, 79),
    ("provenance", "where", "guard"): (RECORD, 79),
    ("provenance", "history"): (RECORD, 79),
    ("provenance", "changes", "demo@1"): (RECORD | {"numpy", "packaging"}, 99),
    ("provenance", "verify"): (RECORD, 84),
}


def loaded(*arguments: str, cwd: Path) -> set[str]:
    """Return the modules, folders of modules aside, that a Python has after it ran these arguments.

    Nothing measures what is covered there: that would load modules of its own.
    """
    done = subprocess.run(
        [sys.executable, "-c", *arguments],
        cwd=cwd,
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_verb_loads_what_it_needs(prepared_running: World, verb: tuple[str, ...]) -> None:
    """Every verb loaded what all verbs of its group need: ``high status`` tuf and NumPy, ``--help`` NumPy."""
    allowed, most = VERBS[verb]
    volumes = tuple(map(str, prepared_running.volumes("alpha-2")))
    words = [w for word in verb for w in (volumes if word == "VOLUMES" else (word,))]
    modules = loaded(RUN, *words, cwd=prepared_running.folder)
    assert LIBRARIES & modules <= allowed
    own = {name for name in modules if name.partition(".")[0] == "airlift"}
    assert len(own) <= most, sorted(own)


def test_declaring_every_command_loads_no_library(tmp_path: Path) -> None:
    assert LIBRARIES & loaded(DECLARATIONS, cwd=tmp_path) == set()


def test_every_group_is_measured() -> None:
    assert {verb[0] for verb in VERBS if not verb[0].startswith("-")} == set(app.GROUPS) - {"doctor"}


def test_the_schemes_are_those_of_the_keys() -> None:
    """The command line names them itself, so that it need not load what makes keys."""
    assert [scheme.value for scheme in Scheme] == list(public.SCHEMES)


def test_the_presets_are_those_of_the_media() -> None:
    """As above: the command line names them in a help text."""
    assert list(bundle_options.PRESETS) == list(media_sizes.PRESETS)
