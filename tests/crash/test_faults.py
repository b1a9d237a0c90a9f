"""EIO and ENOSPC that last, and short writes (THREATS: faults); tests.crash.kernel has single calls that fail."""

import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from airlift.errors import AirliftError, NoSpaceError, StorageError
from tests.crash.recorder import Recorder
from tests.crash.rehearsal import SCENES, Rehearsal, sample, told

_KEPT = re.compile(r"rename (\S+) enclave/state\.note")


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
@pytest.mark.parametrize("name", SCENES)
def test_failing_calls(name: str, code: int, lasting: bool, rehearsals: dict[str, Rehearsal]) -> None:
    """EIO or ENOSPC at a call, or from it on: exit 8, the old state or the new one, and then it works.

    What keeps the state beside the ledger (decision 011) may fail by itself: it is only ever a copy of what is known.
    """
    rehearsal = rehearsals[name]
    spared = frozenset() if lasting else _keeping(rehearsal.steps)
    full = 1 if lasting else 97  # tests.crash.kernel has every single call
    for step in sample(rehearsal.steps, 97, full=full, offset=9 * code + lasting, deciding=False):
        with rehearsal.fresh() as top, told(f"failed at {step}, {rehearsal.steps[step - 1]}"):
            error = _run_failing(rehearsal, top, step, code, lasting=lasting)
            if step in spared:
                assert error is None
                rehearsal.finished(top)
                continue
            assert isinstance(error, StorageError)
            assert isinstance(error, NoSpaceError) == (code == errno.ENOSPC)
            rehearsal.judge(top)


def _keeping(steps: Sequence[str]) -> frozenset[int]:
    """Return the numbers of the steps that keep the state: its temporary file up to the sync of its folder."""
    names = [match[1] for step in steps if (match := _KEPT.fullmatch(step))]
    mine = [number for number, step in enumerate(steps, 1) if any(name in step.split() for name in names)]
    return frozenset(mine) | {number + 1 for number in mine if _KEPT.fullmatch(steps[number - 1])}


def _run_failing(
    rehearsal: Rehearsal, top: Path, step: int, code: int, *, lasting: bool
) -> AirliftError | None:
    def fail(number: int, text: str) -> None:
        if number == step or (lasting and number > step):
            raise OSError(code, os.strerror(code))

    try:
        with Recorder(top, on_step=fail):
            rehearsal.scene.run(top)
    except AirliftError as error:
        return error
    return None


@pytest.mark.parametrize("name", SCENES)
def test_short_writes(name: str, rehearsals: dict[str, Rehearsal]) -> None:
    """Every write writes less than it was given: the outcome is the same."""
    rehearsal = rehearsals[name]
    with rehearsal.fresh() as top:
        with Recorder(top, shorten=True):
            rehearsal.scene.run(top)
        rehearsal.finished(top)
