"""Which tests are slow: `make test` leaves them out, and `AIRLIFT_TESTS=all make test` runs them with all others.

They are listed in tests/slow.txt: folders, files, and single tests, with all their parameters. To renew the list::

    pytest -n 2 --durations=0 --durations-min=0 > log
    python -m tests.support.slow log > tests/slow.txt
"""

import re
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

LISTED = Path(__file__).resolve().parent.parent / "slow.txt"
SECONDS = 840
"""What the others may take together: seven minutes on two processors."""
WHOLE = (
    *("tests/bench/", "tests/browser/", "tests/compat/", "tests/conformance/", "tests/crash/", "tests/fuzz/"),
    *("tests/property/", "tests/second/", "tests/serving/", "tests/stateful/", "tests/steps/"),
    *("tests/cli/test_canary.py", "tests/cli/test_emergency.py", "tests/cli/test_hub.py"),
    *("tests/cli/test_in_charge.py", "tests/cli/test_owners.py", "tests/cli/test_provenance.py"),
    *("tests/cli/test_refusals.py", "tests/cli/test_register.py", "tests/cli/test_relay.py"),
    *("tests/cli/test_relay_page.py", "tests/cli/test_revoke.py", "tests/cli/test_revoked.py"),
    *("tests/cli/test_rules.py", "tests/cli/test_scan.py", "tests/cli/test_scanners.py"),
    *("tests/cli/test_sources.py", "tests/cli/test_staging.py", "tests/cli/test_take_over.py"),
    *("tests/cli/test_variants.py", "tests/cli/test_verdicts.py", "tests/cli/test_waivers.py"),
    "tests/cli/test_watch.py",
)
"""Slow as a whole: other people's programs, kills, random walks, and what needs whole stories of several enclaves."""

_LINE = re.compile(r"(\d+\.\d+)s (?:call|setup|teardown) +(\S+?)(?:\[.*)?$")


@cache
def listed() -> tuple[str, ...]:
    """Return the folders, files and tests that are listed."""
    return tuple(line for line in LISTED.read_text().splitlines() if line and not line.startswith("#"))


def is_slow(node: str) -> bool:
    """Say whether a test is, by its id."""
    name = node.partition("[")[0]
    file = name.partition("::")[0]
    return any(name.startswith(item) if item.endswith("/") else item in {name, file} for item in listed())


def choose(log: str) -> list[str]:
    """Return the slowest tests of a log with durations: so many that the others fit into :data:`SECONDS`."""
    took = defaultdict[str, float](float)
    for line in log.splitlines():
        found = _LINE.match(line)
        if found and not found[2].startswith(WHOLE):
            took[found[2]] += float(found[1])
    left, chosen = sum(took.values()), []
    for name, seconds in sorted(took.items(), key=lambda item: -item[1]):
        if left <= SECONDS:
            break
        chosen.append(name)
        left -= seconds
    return sorted(chosen)


def main(log: str) -> None:
    """Print the list that a log asks for."""
    head = "# Made by tests.support.slow: what `make test` leaves out unless AIRLIFT_TESTS=all."
    sys.stdout.write("\n".join([head, *WHOLE, *choose(Path(log).read_text())]) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
