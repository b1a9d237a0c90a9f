"""What becomes of volumes that are dropped into a watched folder: one round (SPEC 7.13)."""

import shutil
from pathlib import Path

from tests.stateful.desk import Said
from tests.stateful.ground import LABELLED
from tests.stateful.high_side import Judged, Way
from tests.stateful.known import Bundle, Place
from tests.stateful.serving_side import ServingSide
from tests.steps import rules

PACE = ("--once", "--settle", "0", "--interval", "0.05")
"""Two looks: what did not change between them has settled."""


class WatchSide(ServingSide):
    """What is done to enclaves by hand, and by a watched folder."""

    def watch(self, place: Place, bundle: Bundle, copy: int, what: str | None, *, activate: bool) -> bool:
        """Drop volumes of a bundle, and look until they are dealt with; with ``activate`` only of a new one."""
        drop, memory, crossing = self.new("drop"), place.memory, bundle.crossing
        for number, path in enumerate(self.arriving(bundle, copy, what)):
            shutil.copytree(path, drop / f"{number}")  # whatever it is called
        dropped = sorted(path.name for path in drop.iterdir())
        memory.now = self.desk.now
        again = crossing in memory.committed
        assert not (again and activate)
        said = self.high(place, "watch", drop, *PACE, *(["--activate"] if activate else []))
        if what == LABELLED:  # the reader refuses it: there is no import that could be recorded
            judged, runs = Judged(3, frozenset({"digest-mismatch"})), False
        else:
            judged, runs = self._watched(place, bundle, what, activate=activate)
        committed = not again and crossing in memory.committed
        self._check_answer(said, bundle, committed=committed, runs=runs)
        self._check_drop(drop, dropped, bad=judged.exit == 3)
        before = memory.active
        rules.enforce(memory)  # events tell of it, and not the answer
        place.size += 2 * (memory.active != before)
        verb = "high watch" + (" --activate" if activate else "") + (f" {what}" if what else "")
        self.judge(verb, said, judged.exit)
        assert judged.codes is None or said.code in judged.codes, f"{said}: {judged.codes} were expected"
        return judged.exit == 0

    def _watched(
        self, place: Place, bundle: Bundle, what: str | None, *, activate: bool
    ) -> tuple[Judged, bool]:
        """Do in memory what an import by a watched folder does; return how it ends, and whether it runs as asked."""
        memory, crossing = place.memory, bundle.crossing
        again, judged = crossing in memory.committed, self.judge_place(place, bundle, what)
        if judged.verified:
            memory.verified.append(crossing)
        if judged.learned:
            place.size += bool(crossing.listed - memory.listed)
            memory.listed |= crossing.listed
        against = set[str]()
        with self.claims_of(place, bundle) as kept:
            if not judged.exit:
                against = rules.against_import(memory, crossing, activate=activate)
                judged = self._judge_import(place, bundle, Way(what, activate=False))
            if not judged.exit and not again:
                kept.extend(memory.said)
        self._count(place, bundle, judged, what)
        if judged.exit:
            return judged, False
        if not again:
            self._commit(place, bundle)
        runs = bool(activate and not against and crossing.digest)
        if runs and memory.active != crossing.digest:
            self._switch(place, crossing.digest)
        if (
            not against or rules.OVERTAKEN in against
        ):  # what was overtaken never waits to be activated (7.13-7)
            return judged, runs
        return Judged(6, frozenset(rules.CODES[number] for number in against)), runs

    def _check_answer(self, said: Said, bundle: Bundle, *, committed: bool, runs: bool) -> None:
        """Check what the answer says of the bundle."""
        assert said.data["imported"] == [bundle.id] * committed, f"{said}: {said.data}"
        label = bundle.target.label if bundle.target else ""
        assert said.data["activated"] == [label] * runs, f"{said}: {said.data}"

    def _check_drop(self, drop: Path, dropped: list[str], *, bad: bool) -> None:
        """Check that nothing was deleted: what is bad lies in quarantine with its reason, all else where it was."""
        aside = drop.with_name(f"{drop.name}-quarantine")
        kept = sorted(path.name for path in drop.iterdir())
        moved = sorted(aside.iterdir()) if aside.is_dir() else []
        assert bool(moved) == bad
        assert len(kept) + len(moved) == len(dropped)
        assert all((folder / "reason.json").is_file() and (folder / "volume").is_dir() for folder in moved)
