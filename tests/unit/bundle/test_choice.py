"""Choices among variants: what rules decide, and what a bundle or a release in a choice is (SPEC 5.7, 6.2-7)."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift import strict
from airlift.bundle import agreement, choice, manifest, release
from airlift.bundle.component.component import Component
from airlift.bundle.component.variant import Rule, Variant, parse_rule
from airlift.bundle.manifest import Bundle, ReleaseRef
from airlift.bundle.own import whole
from airlift.bundle.release import Release, Requirement
from airlift.errors import FormatTooNewError, MalformedError
from tests.support.bundle_values import BUNDLE, LOW, component, entry


def form(name: str, **labels: str) -> Component:
    """Return a variant of ``base`` with one file of its own, and one that every variant has."""
    made = replace(component(name, "1.1"), files=(entry("config.json", "same"), entry("model.bin", name)))
    return replace(made, variant=Variant("base", tuple(sorted(labels.items()))))


FP16 = form("base-fp16", precision="fp16", device="cuda")
INT4 = form("base-int4", precision="int4", device="cpu")
INT8 = form("base-int8", precision="int8", device="cpu")
GUARD = replace(component("guard", "2", "guard"), files=(entry("rules.txt", "rules"),))
VARIED = Release("assistant", "1", LOW, "", (FP16, INT4, INT8, GUARD), (Requirement("base", "guard", ">=1"),))


def rules(*texts: str) -> list[Rule]:
    return [parse_rule(text) for text in texts]


@pytest.mark.parametrize(
    ("texts", "chosen"),
    [
        (["base=precision:int4"], "base-int4"),
        (["precision:int4"], "base-int4"),
        (["device:cuda"], "base-fp16"),
        (["device:cpu"], None),  # two fit
        (["device:cpu", "precision:int4"], None),  # the first that fits decides
        (["precision:int4", "device:cpu"], "base-int4"),
        (["device:cpu,precision:int8"], "base-int8"),
        (["precision:int2", "precision:int8"], "base-int8"),
        (["precision:int2"], None),
        (["other=precision:int4"], None),
        (["other=precision:int4", "base=precision:fp16"], "base-fp16"),
        ([], None),
    ],
)
def test_what_rules_choose(texts: list[str], chosen: str | None) -> None:
    """SPEC 5.7-5."""
    assert choice.choose(VARIED, rules(*texts)) == (None if chosen is None else (chosen,))


def test_a_release_without_variants_needs_no_choice() -> None:
    plain = replace(VARIED, components=(GUARD,), requires=())
    assert choice.choose(plain, []) == ()
    assert plain.only(()) == plain
    assert plain.chosen == ()


def test_nothing_is_chosen_because_it_is_the_only_one() -> None:
    alone = replace(VARIED, components=(INT4, GUARD))
    assert choice.choose(alone, []) is None
    assert choice.choose(alone, rules("precision:fp16")) is None


@given(st.sets(st.sampled_from(["base-fp16", "base-int4", "base-int8", "guard", "other"])))
def test_a_release_in_a_choice_is_the_same_release(names: set[str]) -> None:
    """SPEC 5.7-4: digest, manifest and marking are those of the whole; and nothing is lost."""
    part = VARIED.only(names)
    assert (part.digest, release.format(part)) == (VARIED.digest, release.format(VARIED))
    assert part.only(choice.names(VARIED)) == VARIED
    assert {c.name for c in part.components} == {"guard"} | (names & choice.names(VARIED))
    assert part.digests() == VARIED.digests()
    assert part.variants() == VARIED.variants()
    assert GUARD in part.components


def test_it_reads_back_in_format_2_and_an_older_airlift_says_so() -> None:
    """SPEC 5.1-12."""
    data = release.format(VARIED)
    assert strict.parse(data, limit=1 << 20, what="release")["airlift"] == 2
    assert release.parse(data) == VARIED
    old = data.replace(b'"airlift":2', b'"airlift":1')
    with pytest.raises(MalformedError):
        release.parse(old)
    with pytest.raises(FormatTooNewError):
        release.parse(data.replace(b'"airlift":2', b'"airlift":3'))


@pytest.mark.parametrize(
    ("parts", "requires", "word"),
    [
        ((FP16, replace(INT4, version="1.2")), (), "several kinds or versions"),
        ((FP16, replace(INT4, kind="adapter")), (), "several kinds or versions"),
        ((FP16, replace(INT4, variant=FP16.variant)), (), "all among those of another"),
        ((form("base-a", precision="int4"), INT4), (), "all among those of another"),
        ((component("base"), INT4), (), "a component itself"),
        ((INT4, replace(GUARD, replaces=("base",))), (), "replaces one that is in the release"),
        ((INT4, GUARD), (Requirement("base-int4", "guard", ">=1"),), "names one variant"),
        ((INT4, GUARD), (Requirement("guard", "base-int4", ">=1"),), "names one variant"),
        ((INT4, replace(FP16, variant=Variant("guard.", (("a", "b"),)))), (), "path"),
    ],
)
def test_what_variants_cannot_be(
    parts: tuple[Component, ...], requires: tuple[Requirement, ...], word: str
) -> None:
    """SPEC 5.7-1, 5.7-3."""
    made = replace(VARIED, components=tuple(sorted(parts, key=lambda c: c.name)), requires=requires)
    with pytest.raises(MalformedError, match=word):
        release.parse(release.format(made))


def test_who_is_asked_for_is_what_it_is_a_variant_of() -> None:
    assert (INT4.folder, GUARD.folder) == ("base", "guard")
    assert INT4.answers_to("base")
    assert not INT4.answers_to("base-int4")


# -- what a bundle carries -----------------------------------------------------------------------------------------


def carrying(*variants: str, files: tuple[Component, ...] = (INT4,), **fields: Any) -> Bundle:
    target = ReleaseRef(VARIED.digest, VARIED.name, VARIED.version)
    contents = {e.sha512: e.content for c in files for e in c.files}
    said: dict[str, Any] = {
        "target": target,
        "marking": LOW,
        "files": tuple(contents.values()),
        "variants": variants,
        "packed": True,
    }
    return replace(BUNDLE, **(said | fields))


def test_a_bundle_that_carries_some_reads_back() -> None:
    made = carrying("base-int4")
    assert manifest.parse(manifest.format(made)) == made
    assert strict.parse(manifest.format(made), limit=1 << 20, what="bundle")["airlift"] == 2
    agreement.check_release(whole(made), VARIED)
    assert choice.carried(whole(made), VARIED) == {"base-int4"}
    assert choice.carried(whole(replace(made, variants=())), VARIED) == choice.names(VARIED)


@pytest.mark.parametrize(
    ("variants", "word"),
    [
        (("base-fp16", "base-int4", "base-int8"), "not some of"),  # all: then it says nothing
        (("base-int2",), "not some of"),
        (("guard",), "not some of"),
        (("base-fp16",), "not part of what it carries"),
    ],
)
def test_what_a_bundle_cannot_carry(variants: tuple[str, ...], word: str) -> None:
    """SPEC 6.2-7."""
    with pytest.raises(MalformedError, match=word):
        agreement.check_release(whole(carrying(*variants)), VARIED)


def test_a_bundle_carries_a_variant_of_each_component() -> None:
    pii = replace(component("pii-a", "1", "guard"), variant=Variant("pii", (("size", "small"),)))
    more = replace(VARIED, components=(*VARIED.components, pii))
    made = replace(carrying("base-int4"), target=ReleaseRef(more.digest, more.name, more.version))
    with pytest.raises(MalformedError, match="no variant of a component"):
        agreement.check_release(whole(made), more)
    agreement.check_release(whole(replace(made, variants=("base-int4", "pii-a"))), more)


@pytest.mark.parametrize("variants", [["b", "a"], ["a", "a"], [], ["A"], [1], "a", None])
def test_what_is_no_list_of_variants(variants: Any) -> None:
    document = strict.parse(manifest.format(carrying("base-int4")), limit=1 << 20, what="bundle")
    with pytest.raises(MalformedError):
        manifest.parse(strict.format({**document, "variants": variants}))


def test_a_bundle_without_a_target_carries_none() -> None:
    bare = replace(
        BUNDLE, target=None, baseline=None, bases=(), files=(), chunks=(), variants=("a",), packed=True
    )
    with pytest.raises(MalformedError):
        manifest.parse(manifest.format(bare))


def test_from_a_release_to_itself_only_another_variant_comes() -> None:
    """SPEC 6.2-4, 6.2-5."""
    again = replace(carrying("base-int4"), baseline=ReleaseRef(VARIED.digest, VARIED.name, VARIED.version))
    again = replace(again, bases=(FP16.files[1].content,))
    agreement.check_target(whole(again), VARIED)
    agreement.check_baseline(whole(again), VARIED)
    sure = replace(again, files=(GUARD.files[0].content,))
    with pytest.raises(MalformedError, match="its baseline holds"):
        agreement.check_baseline(whole(sure), VARIED)
    with pytest.raises(MalformedError, match="the baseline is the target"):
        agreement.check_target(whole(again), replace(VARIED, components=(GUARD,), requires=()))
