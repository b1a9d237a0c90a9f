"""What enclaves serve to programs that know nothing of airlift: exports, and what follows (SPEC 8.7)."""

from pathlib import Path
from typing import Any

from tests.stateful.high_side import HighSide
from tests.stateful.known import Place, Release
from tests.steps import rules

NUMBERS = (1, 2)


class ServingSide(HighSide):
    """What is served, and all the rest of the high side."""

    def outlet(self, place: Place, number: int) -> Path:
        """Return one of the places where an enclave serves."""
        return self.folder / f"{place.name}-served" / str(number)

    def serve(self, place: Place, number: int, release: Release | None, *, follow: bool) -> bool:
        """Serve what is active, or once another release."""
        output, memory = self.outlet(place, number), place.memory
        output.parent.mkdir(exist_ok=True)
        words = ["--layout", "tree", "--output", str(output), *(["--follow"] if follow else [])]
        said = self.high(place, "export", release.label if release else "active", *words)
        memory.now = self.desk.now
        verb = "high export" + (" --follow" if follow else "")
        if follow and release is not None:
            return self.judge(verb, said, 2, {"usage"})
        digest = release.digest if release else memory.active
        if digest is None or digest not in memory.held:
            return self.judge(verb, said, 5, {"release-not-held"})
        if digest != memory.active:
            against = rules.objections(memory, digest, aged=digest not in memory.ran)
            if against:
                return self.judge(verb, said, 6, {rules.CODES[code] for code in against})
        if number in place.follows and follow:
            return self.judge(f"{verb} again", said, 0)
        if number in place.follows or number in place.stands:
            return self.judge(verb, said, 2, {"exists"})
        place.size += 1
        if follow:
            place.follows.add(number)
        else:
            place.stands[number] = digest
        return self.judge(verb, said, 0)

    def end(self, place: Place, number: int) -> bool:
        """Let something follow no more."""
        said = self.high(place, "unfollow", self.outlet(place, number))
        if number not in place.follows:
            return self.judge("high unfollow", said, 5, {"release-not-held"})
        place.size += 1
        place.follows.remove(number)
        if place.memory.active is not None:
            place.stands[number] = place.memory.active
        return self.judge("high unfollow", said, 0)

    def _agree_on_service(self, place: Place, said: dict[str, Any]) -> None:
        """Check that what follows serves what is active, and nothing else, and that what is revoked is told of."""
        memory = place.memory
        assert {item["output"]: item["in_step"] for item in said["exports"]} == {
            str(self.outlet(place, number)): True for number in place.follows
        }
        for number in place.follows:
            served = self.outlet(place, number) / "guard" / "model.safetensors"
            assert served.exists() == (memory.active is not None)
            assert not served.exists() or served.samefile(
                place.folder / "active" / "guard" / "model.safetensors"
            )
        revoked = {
            str(self.outlet(place, number))
            for number, digest in place.stands.items()
            if rules.is_revoked(memory, digest, memory.documents[digest])
        }
        told = [text for text in said["warnings"] if text.startswith("revoked, and still served: ")]
        assert {text.split()[4] for text in told} == revoked
