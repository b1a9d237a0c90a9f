"""No step, and no order of steps, makes a release run that policy refuses, and none is refused that it allows.

``AIRLIFT_STEPS=full`` (``make steps``) takes more than 20,000 steps; ``make test`` takes the first few hundred.
"""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from airlift.high.enclave.check_content import check_content
from airlift.high.record.verify_ledger import verify_ledger
from tests.steps import media
from tests.steps.media import Media
from tests.steps.quick import quick
from tests.steps.walk import Start, Walk, enrolled
from tests.support import keys

FULL = os.environ.get("AIRLIFT_STEPS") == "full"
GROUPS, STEPS = (51, 100) if FULL else (1, 50)
TAKEN = (6, 6, 6)
MEMORY = Path("/dev/shm")  # noqa: S108 - thousands of small files: real disks would only be slow

Made = tuple[Media, list[Start]]
WANTED = (
    "activate done", "activate refused", "roll back done", "roll back refused", "bring done", "bring refused",
    "floor done", "approve done", "policy done", "register done", "register refused",
)  # fmt: skip


@pytest.fixture(scope="module")
def made() -> Iterator[Made]:
    """Return all bundles, made once, and where walks begin."""
    place = Path(
        tempfile.mkdtemp(prefix="airlift-steps-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
    )
    try:
        with quick():
            bundles = media.make(place)
            yield bundles, _starts(bundles, place)
    finally:
        shutil.rmtree(place)


def _starts(bundles: Media, place: Path) -> list[Start]:
    """Return enclaves that have imported nothing, a few bundles, and more of them."""
    found = [enrolled(bundles)]
    for number, count in enumerate(TAKEN):
        found.append(Walk(bundles, found[-1], place / f"start-{number}", number).take(count))
    return found


@pytest.mark.parametrize("group", range(GROUPS))
def test_no_walk_leaves_the_rules(made: Made, group: int) -> None:
    """Four walks, from every start one; among their steps must be what they are to judge."""
    bundles, starts = made
    counts: Counter[str] = Counter()
    for place, start in enumerate(starts):
        counts += _walked(bundles, start, group * len(starts) + place)
    print(f"{STEPS * len(starts)} steps: {dict(sorted(counts.items()))}")  # noqa: T201 - for who counts
    assert all(counts[what] for what in WANTED)


def _walked(bundles: Media, start: Start, seed: int) -> Counter[str]:
    """Take a walk, and return what its steps did."""
    folder = bundles.enclave.folder.parent / f"walk-{seed}"
    walk = Walk(bundles, start, folder, seed)
    try:
        for _ in range(STEPS):
            walk.step()
    except AssertionError as error:
        trail = "\n".join(walk.trail[-60:])
        raise AssertionError(f"{error}\nafter these steps of walk {seed}:\n{trail}") from error
    assert verify_ledger(walk.enclave, public_key=keys.signer("ledger").public).ok
    check_content(walk.enclave)
    shutil.rmtree(folder)
    return walk.counts
