"""What is trained inside: it joins a held release, under the same rules, and leaves by no command (SPEC 8.6)."""

import random

from tests.stateful.known import Place, Release
from tests.stateful.late_side import LateSide
from tests.steps import registering, rules


class TrainingSide(LateSide):
    """What enclaves make of their own data, and all the rest."""

    def register(self, place: Place, base: Release, seed: int) -> bool:
        """Register upon a release what dice draw."""
        self.model.numbers["trained"] += 1
        memory, number = place.memory, self.model.numbers["trained"]
        memory.now = self.desk.now
        drawn = registering.draw(random.Random(seed), memory, base.digest, number)
        return self.register_drawn(place, drawn)

    def register_drawn(self, place: Place, drawn: registering.Drawn) -> bool:
        """Register what was drawn."""
        memory, path = place.memory, drawn.write(self.new("trained"))
        said, against = self.high(place, "register", path), registering.against(memory, drawn)
        if against is None:
            return self.judge("high register", said, 2)
        if against:
            wanted = 5 if rules.NOT_HELD in against else 6
            return self.judge("high register", said, wanted, {rules.CODES[number] for number in against})
        self.judge("high register", said, 0)
        document, digest = registering.release_of(memory, drawn), said.data["digest"]
        assert rules.means(said.data["marking"]) == rules.means(document["marking"])
        assert said.data["base"] == self._label(drawn.base)
        memory.documents[digest], memory.made[digest] = document, drawn.base
        memory.held.append(digest)
        place.made[digest] = Release(said.data["release"], digest, document, path)
        place.content |= place.made[digest].contents
        place.size += 1
        return True
