"""What a hub does: it keeps original volumes, hands them on, and drops them (SPEC 7.12)."""

from pathlib import Path

from tests.stateful.ground import CUT, DAMAGED, LABELLED
from tests.stateful.high_side import Judged
from tests.stateful.known import Bundle, Place
from tests.stateful.watch_side import WatchSide
from tests.steps.media import Subject

GOOD = Judged(0)


class HubSide(WatchSide):
    """What is done to enclaves that others are behind, and all the rest."""

    def hand_on(self, place: Place, to: str, bundle: Bundle, what: str | None) -> bool:
        """Hand on a bundle from volumes at hand."""
        paths, output = self.arriving(bundle, 0, what), self.new("handed")
        said, verb = self.high(place, "relay", *paths, "--to", to, "--output", output), "high relay"
        if to not in self.behind(place):
            return self.judge(verb, said, 6, {"refused"})
        judged = self._judge_one(place, bundle, what, (to,))
        if not judged.exit:
            bundle.copies.append(_volumes(output))
            place.size += 1
        return self.judge(verb, said, judged.exit, set(judged.codes) if judged.codes else None)

    def store(self, place: Place, bundle: Bundle, what: str | None) -> bool:
        """Keep the volumes of a bundle."""
        said = self.high(place, "relay", *self.arriving(bundle, 0, what), "--store")
        judged, kept = (
            self._judge_one(place, bundle, what, self.behind(place)),
            bundle.sequence in place.relayed,
        )
        if judged.exit == 3 and what == DAMAGED and kept:
            judged = GOOD  # what is kept stays as it is, and nothing is copied
        if not judged.exit:
            place.relayed.add(bundle.sequence)
            assert said.data["already"] == kept
        return self.judge(
            "high relay --store", said, judged.exit, set(judged.codes) if judged.codes else None
        )

    def hand_on_kept(self, place: Place, to: str) -> bool:
        """Hand on all that is kept for somebody."""
        output = self.new("handed")
        said, verb = self.high(place, "relay", "--to", to, "--output", output), "high relay kept"
        if to not in self.behind(place):
            return self.judge(verb, said, 6, {"refused"})
        kept = [self.bundle(number) for number in sorted(place.relayed, reverse=True)]
        looked = [item for item in kept if not item.whom or to in item.whom]
        refusals = self._look(place, looked, (to,))
        good = [item for item in looked if refusals[item.sequence] is None]
        if looked and not good:
            return self.judge(verb, said, 6, {str(refusals[looked[0].sequence])})
        self.judge(verb, said, 0)
        assert [item["bundle"] for item in said.data["handed"]] == [item.id for item in good]
        assert {item["bundle"] for item in said.data["refused"]} == {b.id for b in looked if b not in good}
        for item, told in zip(good, said.data["handed"], strict=True):
            item.copies.append(tuple(Path(one["path"]) for one in told["volumes"]))
        place.size += len(good)
        return True

    def drop(self, place: Place, bundle: Bundle) -> bool:
        """Remove what is kept of a bundle."""
        said = self.high(place, "relay", "--drop", bundle.id, "--yes")
        if bundle.sequence not in place.relayed:
            return self.judge("high relay --drop", said, 5, {"release-not-held"})
        place.relayed.remove(bundle.sequence)
        return self.judge("high relay --drop", said, 0)

    def behind(self, place: Place) -> tuple[str, ...]:
        """Return the sub-enclaves that policy names."""
        return tuple(place.memory.policy.get("relay", {}))

    def _judge_one(self, place: Place, bundle: Bundle, what: str | None, to: tuple[str, ...]) -> Judged:
        """Return how it ends to hand on, or keep, one bundle: rules first, then chunks (7.12-4, 7.12-5)."""
        if what == LABELLED:
            return Judged(3, frozenset({"digest-mismatch"}))
        refusal = self._look(place, [bundle], to)[bundle.sequence]
        if refusal is not None:
            return Judged(6, frozenset({refusal}))
        if what == CUT:
            return Judged(4, frozenset({"volumes-missing"}))
        return Judged(3, frozenset({"digest-mismatch"})) if what == DAMAGED else GOOD

    def _look(self, place: Place, looked: list[Bundle], to: tuple[str, ...]) -> dict[int, str | None]:
        """Return by number the code with which a bundle is not handed on; new roots are kept at once (7.12-3)."""
        memory, own = place.memory, self.newest(place)
        memory.verified += [item.crossing for item in looked]
        found = {item.sequence: "overtaken" for item in looked if own and _is_gone(item, own)}
        verified = [item for item in looked if item.sequence not in found]
        fresh = [item for item in verified if own is None or item.version > own.version]
        newest = max([*fresh, *([own] if own else [])], key=lambda item: item.version, default=None)
        listed = memory.listed.union(*(item.crossing.listed for item in fresh))
        roots = {item.root: item.lifted for item in memory.verified}
        force = listed - (roots[max(roots)] if roots else frozenset())
        codes: dict[int, str | None] = {item.sequence: _code(item, newest, force, to) for item in verified}
        return {**found, **codes}


def _is_gone(bundle: Bundle, own: Bundle) -> bool:
    """Say whether newer metadata of the hub's own does not list a bundle."""
    return own.version >= bundle.version and bundle.id not in own.listed


def _code(
    bundle: Bundle, newest: Bundle | None, force: frozenset[Subject], to: tuple[str, ...]
) -> str | None:
    """Return the code of the first rule that refuses a bundle that was verified."""
    if bundle.whom and not bundle.whom & set(to):
        return "wrong-enclave"
    if newest is not None and bundle.id not in newest.listed:
        return "overtaken"
    if bundle.target is not None:
        named = {(kind, digest) for kind, digest, _ in force}
        own = {("release", bundle.target.digest)}
        own |= {("component", part["digest"]) for part in bundle.target.document["components"]}
        if named & own:
            return "revoked"
    return None


def _volumes(output: Path) -> tuple[Path, ...]:
    return tuple(sorted(output.iterdir()))
