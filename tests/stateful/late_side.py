"""What comes so late that its metadata has expired, and who may accept it all the same (SPEC 7.7)."""

from datetime import timedelta

from tests.stateful.high_side import PEOPLE, Judged, Way
from tests.stateful.known import Bundle, Place
from tests.stateful.record_side import RecordSide
from tests.steps import rules

LATE = timedelta(days=200)
"""After this time all metadata but root has expired (4.2)."""


class LateSide(RecordSide):
    """What is done to enclaves in time, and too late."""

    def late(self, place: Place, bundle: Bundle, people: tuple[str, ...] | None, *, activate: bool) -> bool:
        """Let a bundle arrive late at a copy of all this; ``people`` are those who sign that it will do."""
        aside = self.copy(self.folder.with_name(f"{self.folder.name}-late"))
        aside.desk.now, aside.desk.tell = self.desk.now + LATE, self.desk.tell
        there = aside.place(place.name)
        try:
            done = aside.bring_late(there, aside.bundle(bundle.sequence), people, activate=activate)
            aside.agree_on(there)
        finally:
            self.counts.update(aside.counts)
            aside.leave()
        return done

    def bring_late(
        self, place: Place, bundle: Bundle, people: tuple[str, ...] | None, *, activate: bool
    ) -> bool:
        """Import a bundle whose metadata has expired: nothing else is relaxed for those who sign for it."""
        more = [] if people is None else ["--insecure-expired", "--reason", "flood", *self.key_words(people)]
        more += ["--activate"] if activate else []
        said = self.high(place, "import", *self.arriving(bundle, 0, None), "--workers", "1", *more)
        verb = "high import --insecure-expired" if people is not None else "high import late"
        place.memory.now = self.desk.now
        if people is not None and len(set(people)) < PEOPLE:
            return self.judge(verb, said, 2, {"usage"})
        judged, again = self.judge_place(place, bundle, None), bundle.crossing in place.memory.committed
        if people is None and not again:
            judged = Judged(6, frozenset({"expired"}), verified=True)
        unsigned = people is not None and not rules.are_two_approvers(place.memory, people)
        judged = self.take_in(place, bundle, Way(None, activate, unsigned), judged, said)
        return self.judge(verb, said, judged.exit, set(judged.codes) if judged.codes else None)
