from dataclasses import replace

from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.component.waiver import Waiver
from airlift.bundle.fields import Marking
from airlift.bundle.release import Release, Requirement
from airlift.low.authority.review import describe_release


def component(name: str, version: str, content: str = "a", kind: str = "model") -> Component:
    entry = FileEntry("x.safetensors", 7, content * 128, content * 64)
    return Component(name, kind, version, "", {"kind": "path", "path": "."}, (entry,))


def release(
    version: str, *components: Component, level: str = "CUI", requires: tuple[Requirement, ...] = ()
) -> Release:
    return Release("stack", version, Marking(level), "", components, requires)


def test_everything_that_can_change() -> None:
    old = release(
        "1",
        component("gone", "1"),
        component("kind", "1", kind="data"),
        component("new", "1"),
        component("same", "3"),
        requires=(Requirement("same", "new", ">=1"), Requirement("same", "gone", ">=1")),
    )
    new = release(
        "2",
        component("added", "1"),
        component("kind", "1"),
        component("new", "2", "b"),
        component("same", "3"),
        level="SECRET",
        requires=(Requirement("same", "new", ">=1"),),
    )
    head, *lines = describe_release(new, old)
    assert head == f"release stack@2, marking SECRET, digest {new.digest}, compared with stack@1"
    assert [line.split(" (")[0] for line in lines] == [
        "component added: added 1",
        "component relabelled: kind 1, data -> 1",
        "component changed: new 1 -> 2",
        "component unchanged: same 3",
        "component removed: gone 1",
        "marking: CUI -> SECRET",
        "requires: same needs new >=1",
        "no longer requires: same needs gone >=1",
    ]


def test_a_first_release() -> None:
    assert describe_release(release("1", component("a", "1")), None)[1].startswith(
        "component added: a 1 (model, 1 files, 7 bytes"
    )


def test_who_signs_is_told_of_waivers_and_markings_also_of_what_did_not_change() -> None:
    plain = component("same", "1")
    waived = replace(plain, marking=Marking("CUI"), accept=(Waiver("code", "why", ("x.safetensors",)),))
    other = replace(plain, accept=(Waiver("code", "why not", ("x.safetensors",)),))
    told = ["  marking CUI", "  waiver for code in x.safetensors: why"]
    assert list(describe_release(release("2", waived), None))[2:] == told
    assert list(describe_release(release("2", waived), release("1", waived)))[1:] == [
        "component unchanged: same 1",
        *told,
    ]
    assert list(describe_release(release("2", waived), release("1", other)))[1:] == [
        "component unchanged: same 1",
        "  new: marking CUI",
        "  new: waiver for code in x.safetensors: why",
        "  no longer: waiver for code in x.safetensors: why not",
    ]
    assert list(describe_release(release("2", plain), release("1", waived)))[2:] == [
        f"  no longer: {line.strip()}" for line in told
    ]
    gone = replace(waived, name="gone")
    assert describe_release(release("2", plain), release("1", plain, gone))[-1] == "component removed: gone 1"
