"""Loss of everything that was not synced, and the rules that make it harmless (THREATS: faults)."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, combinations
from pathlib import Path
from random import Random

import pytest

from tests.crash import model
from tests.crash.kernel.table import PROPERTY
from tests.crash.model import Change, Folder, Image
from tests.crash.recorder import Recorder
from tests.crash.rehearsal import FULL, SCENES, Rehearsal, run_dead, sample, told

STRIDE = 79
MOST_PENDING, CHOSEN = 15, 256
"""Of no more changes every subset is tried; of more, which days would not be enough for, so many."""
BYTES = ("synced", "half", "zeros", "all")
"""What may become of bytes that were not synced; see :func:`tests.crash.model.image`."""


def after_power_cut(root: Folder) -> Iterator[tuple[str, Image]]:
    """Yield what a power cut may leave now: whichever pending changes are kept, and whatever became of bytes."""
    for kept in _kept(model.pending(root)):
        for data in BYTES:
            yield (
                f"bytes {data}, kept: {[change.text for change in kept]}",
                model.image(root, kept, data=data),
            )


def _kept(changes: Sequence[Change]) -> Iterator[tuple[Change, ...]]:
    """Yield which of the pending changes may be kept.

    These are all subsets, if everything is asked for; of very many changes, or if it is not, the extremes, and each
    change lost, or kept, on its own; and of very many some subsets by chance, always the same.
    """
    if FULL and len(changes) <= MOST_PENDING:
        yield from chain.from_iterable(combinations(changes, number) for number in range(len(changes) + 1))
        return
    yield ()
    if changes:
        yield from combinations(changes, 1)
        yield from combinations(changes, len(changes) - 1)
    yield tuple(changes)
    chance = Random(len(changes))
    for _ in range(CHOSEN if FULL else 0):
        yield tuple(change for change in changes if chance.random() < 0.5)


@pytest.mark.parametrize("name", SCENES)
def test_power_cut_at_any_step(
    name: str, rehearsals: dict[str, Rehearsal], record_property: Callable[[str, object], None]
) -> None:
    """Loss of everything not fsynced, and of any part of it: old or new, never else."""
    rehearsal = rehearsals[name]
    found: dict[Image, str] = {}
    wanted = set(sample(rehearsal.steps, STRIDE))

    def cut(number: int, text: str) -> None:
        if number in wanted:
            for what, image in after_power_cut(disk.root):
                found.setdefault(image, f"{name}: power cut at {number}, {text}: {what}")

    with rehearsal.fresh() as top:
        disk = Recorder(top, on_step=cut)
        with disk:
            rehearsal.scene.run(top)
        found.setdefault(model.image(disk.root), "power cut at the end")
    for image, text in found.items():
        with rehearsal.fresh(_nowhere(rehearsal)) as top, told(text):
            image.write(top)
            rehearsal.judge(top)
    record_property(PROPERTY, [name, "power cut", len(found)])


def _nowhere(rehearsal: Rehearsal) -> Path:
    empty = rehearsal.room / "empty"
    empty.mkdir(exist_ok=True)
    return empty


@pytest.mark.parametrize("name", SCENES)
def test_the_model_saw_every_change(name: str, rehearsals: dict[str, Rehearsal]) -> None:
    """If a change went past the recorder, the other tests here would show nothing."""
    rehearsal = rehearsals[name]
    with rehearsal.fresh() as top:
        with Recorder(top) as disk:
            rehearsal.scene.run(top)
        assert model.image(disk.root, None, data="all") == model.image(model.load(top))


@pytest.mark.parametrize("name", SCENES)
def test_nothing_relies_on_what_is_not_synced(name: str, rehearsals: dict[str, Rehearsal]) -> None:
    """Before the ledger says something, before a file gets its name, and at the end: all of it is durable."""
    rehearsal = rehearsals[name]
    with rehearsal.fresh() as top, Recorder(top) as disk:
        rehearsal.scene.run(top)
    assert rehearsal.at_risk(disk) == []


NOT_RELIED_ON = re.compile(
    r".*(depot/log\.jsonl: bytes|: : mkdir out|^: mkdir (out|again|shared)|: symlink \.tmp-[0-9a-f]{16})"
)
"""The last line of the depot's log, which is for people; the folder that volumes go to, which `low check` reads, or
shards, which are missed when they are joined; a link that was never renamed."""


@pytest.mark.parametrize(
    "name", [name for name in SCENES if name != "export"]
)  # refused the second time: it exists
def test_a_run_after_a_kill_syncs_what_the_killed_one_did_not(
    name: str, rehearsals: dict[str, Rehearsal]
) -> None:
    """SIGKILL, the next run, then a power cut: names that were there already may not have been durable.

    What broke: a second import took content for durable whose folder the killed one had not synced, and committed.
    """
    rehearsal = rehearsals[name]
    for step in sample(rehearsal.steps, 53):
        with rehearsal.fresh() as top, told(f"killed at {step}, {rehearsal.steps[step - 1]}"):
            disk = run_dead(rehearsal, top, step)
            with disk:
                rehearsal.scene.run(top)
            assert [text for text in rehearsal.at_risk(disk) if not NOT_RELIED_ON.fullmatch(text)] == []
