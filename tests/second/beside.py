"""Holds the real importer against the second one, import by import, in whatever test imports something.

Every in-process import goes through one function of the real importer; :func:`compared` wraps it. Before the real
import the second one reads the same enclave and the same volumes, and says how it would end; afterwards both must
have ended alike: the same exit code, and if a release was installed the same files with the same bytes.

What the second importer leaves out (activation, the bypass, faults of the system) is not compared.
"""

import hashlib
import json
import os
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from airlift.errors import AirliftError
from airlift.high.importing import import_bundle as real
from tests.second import enclave, importer, policy
from tests.second.errors import Refused
from tests.second.importer import Installed

EVERY = 3
"""Of the imports of a run one in so many is compared, unless ``AIRLIFT_SECOND=all`` asks for all of them."""

OF_ACTIVATION = {
    "requirement-unmet",
    "below-floor",
    "quorum-unmet",
    "revoked",
    "overtaken",
    "release-not-held",
}
OF_THE_SYSTEM = {1, 7, 8}
OF_THE_ENCLAVE = {"ledger-inconsistent"}
"""Codes of an enclave whose own record or policy was tampered with: the second importer takes them as they are."""

Verdict = Installed | Refused | str
"""What the second importer says; a text if it failed."""

CHECKED = {"format-too-new", "unreadable", "key-unavailable"}
"""Codes of exit 7 that are about what was given, and not about the system."""


INJECTED = (
    "test_a_baseline_that_shrinks_while_it_is_read",
    "test_content_that_vanishes_at_the_last_moment",
    "test_a_thread_that_fails_in_the_middle",
    "test_a_disk_that_fails_to_read_a_base",
    "test_an_empty_file_that_is_not_empty_as_signed",
    "test_one_of_several_volumes_that_cannot_be_read",
    "test_a_medium_that_cannot_be_read",
    "test_a_folder_that_cannot_be_listed",
    "test_sizes_are_bounded_before_anything_is_read",
    "test_too_many_files_or_volumes",
    "test_read_errors_are_not_bad_data",
    "test_a_chunk_replaced_after_it_was_listed",
    "test_a_chunk_taken_away_after_it_was_listed",
    "test_a_medium_that_is_pulled_out",
    "test_a_folder_that_vanishes_while_it_is_read",
    "test_what_was_repaired_is_not_repaired_again",
    "test_damage_between_the_check_and_the_use",
    "test_no_command_costs_more_for_each_of_many_files",
)
"""Tests that make the system fail in the middle of an import, or lower a bound: the second one reads before that.

Or that count what the first one calls.
"""


@dataclass(slots=True)
class Tally:
    """What came of a test's imports: how many were compared, and where the two importers differ."""

    test: str
    seen: int = 0
    compared: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)


def wanted(test: str, number: int) -> bool:
    """Tell whether an import is among those that are compared."""
    if test.rpartition("::")[2].partition("[")[0] in INJECTED:
        return False
    if os.environ.get("AIRLIFT_SECOND") == "all" or test.startswith("tests/second"):
        return True
    return hashlib.sha256(f"{test} {number}".encode()).digest()[0] % EVERY == 0


def compared(tally: Tally, original: Callable[..., Any]) -> Callable[..., Any]:
    """Return the real import with the second one before it."""

    def both(run: Any, paths: Sequence[Path]) -> Any:
        tally.seen += 1
        if run.emergency is not None or not wanted(tally.test, tally.seen):
            return original(run, paths)
        with tempfile.TemporaryDirectory(prefix="airlift-second-") as folder:
            second = _second(run, paths, Path(folder))
            try:
                result = original(run, paths)
            except AirliftError as error:
                _compare_errors(tally, error, second, activate=run.activate)
                raise
            _compare_results(tally, run, result, second, Path(folder))
        return result

    return both


def _second(run: Any, paths: Sequence[Path], output: Path) -> Verdict:
    folder = run.enclave.folder
    try:
        place = (folder / "policy.yaml").resolve()
        rules = policy.make(yaml.safe_load(place.read_bytes()), place.parent)
        return importer.run(enclave.read(folder), rules, list(paths), output, run.operator.now)
    except Refused as refused:
        return refused
    except Exception:  # noqa: BLE001 -- told, unless the real one finds the enclave damaged
        return traceback.format_exc()


def _compare_errors(tally: Tally, error: AirliftError, second: Verdict, *, activate: bool) -> None:
    if (activate and error.code in OF_ACTIVATION) or error.code in OF_THE_ENCLAVE:
        return
    if error.exit_code in OF_THE_SYSTEM and error.code not in CHECKED:
        return
    tally.compared.append(error.code)
    if error.data.get("installed"):  # it came in, and a command of the owners does not let it run
        if not isinstance(second, Installed):
            tally.differing.append(f"installed, then refused with {error.code}, the second one: {second}")
        return
    if not isinstance(second, Refused) or second.exit != error.exit_code:
        tally.differing.append(f"refused with {error.code} ({error.message}), the second one: {second}")
    elif second.code != error.code:
        tally.compared[-1] += f" ({second.code})"


def _compare_results(tally: Tally, run: Any, result: Any, second: Verdict, folder: Path) -> None:
    tally.compared.append("already" if result.already else "ok")
    if not isinstance(second, Installed):
        tally.differing.append(f"imported {result.bundle}, the second one: {second}")
        return
    if (second.already, second.overtaken) != (result.already, result.overtaken):
        tally.differing.append(f"{result}, the second one: {second}")
    if second.already or not result.target:
        return
    one, other = _files(run.enclave.folder / "releases" / second.tree), _files(folder / "release")
    if one != other:
        tally.differing.append(f"{result.bundle} installed {sorted(one)}, the second one {sorted(other)}")


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def comparing(tally: Tally) -> Iterator[None]:
    """Compare the imports that happen meanwhile, and tally what comes of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(real, "_import", compared(tally, real._import))
        yield


@contextmanager
def watched(test: str) -> Iterator[None]:
    """Compare the imports that a test makes, and fail it if the two differ.

    What was compared is added to the file that ``AIRLIFT_SECOND_LOG`` names, one line of JSON a test.
    """
    tally = Tally(test)
    with comparing(tally):
        yield
    log = os.environ.get("AIRLIFT_SECOND_LOG")
    if log and tally.seen:
        with Path(log).open("a") as file:
            file.write(json.dumps(asdict(tally)) + "\n")
    assert not tally.differing, "\n".join(tally.differing)
