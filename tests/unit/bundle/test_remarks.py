"""What people are told of components beside their names: the same words everywhere."""

from dataclasses import replace

from airlift.bundle import remarks
from airlift.bundle.component.vendor_signature import VendorSignature
from airlift.bundle.component.waiver import Waiver
from airlift.bundle.patterns import LeftOut
from tests.support.bundle_values import BASE, CHOSEN, GUARD, INSIDE, RELEASE, TAKEN, TUNED, WAIVED, sha512


def test_of_a_plain_release_there_is_nothing_to_tell() -> None:
    assert remarks.of_release(RELEASE) == ()
    assert remarks.of_release(None) == ()
    assert remarks.summaries(None) == ()
    assert remarks.tag(BASE) == ""
    assert remarks.summary(GUARD) == {
        "name": "guard",
        "kind": "guard",
        "version": "2.0",
        "digest": GUARD.digest,
    }


def test_all_that_there_is_to_tell() -> None:
    left = "left out of its source by include *.json, *.py, weights/* and exclude weights/optimizer.pt"
    assert remarks.of_release(WAIVED) == (
        "base: marking CUI//NOFORN",
        "base: waiver for code in weights/model.safetensors: Read by two people.",
        "base: waiver for remote-code in config.json: The model has no other code.",
        f"base: {left}: 2 files, README.md, weights/optimizer.pt",
        "guard: left out of its source by include *.json, *.safetensors and exclude *.bin: 1 file, old.bin",
        "guard: vendor signature covers 1 of 2 files: left out old.bin",
    )
    assert remarks.tag(WAIVED.components[0]) == " (CUI//NOFORN, accepts code, accepts remote-code)"
    base, guard = remarks.summaries(WAIVED)
    assert base["marking"] == {"level": "CUI", "caveats": ["NOFORN"]}
    assert [item["what"] for item in base["waivers"]] == ["code", "remote-code"]
    assert base["left_out"]["count"] == 2
    assert guard["vendor_signature"] == "vendor signature covers 1 of 2 files: left out old.bin"
    assert "vendor_signature" not in base


def test_what_was_trained_inside_is_told() -> None:
    taken = "taken over from enclave bravo (tuned of assistant@1+tuned-1, entry 7)"
    data = "made with data mail 2026-10 (SECRET//NOFORN), notes 1 (CUI)"
    assert remarks.of_release(INSIDE) == (
        "made: marking SECRET//NOFORN",
        "made: trained in enclave alpha",
        f"made: {data}",
        "tuned: marking SECRET//NOFORN",
        f"tuned: {taken}; trained in enclave alpha",
        f"tuned: {data}",
    )
    found = remarks.summary(TUNED)
    assert [item["name"] for item in found["data"]] == ["mail", "notes"]
    assert found["source"] == TAKEN
    assert "data" not in remarks.summary(BASE)
    assert "source" not in remarks.summary(BASE)


def test_what_was_left_out_before_it_was_taken_over_is_told() -> None:
    taken = replace(TUNED, source=TAKEN | {"origin": CHOSEN}, data=())
    *_, came, left = remarks.of_component(taken)
    assert came.endswith("; gathered from path ../base")
    assert left.endswith("weights/optimizer.pt: 2 files, README.md, weights/optimizer.pt")
    assert remarks.summary(taken)["left_out"] == CHOSEN["left_out"]


def test_long_lists_are_cut() -> None:
    paths = tuple(f"{number:04}" for number in range(1000))
    waived = replace(BASE, accept=(Waiver("pickle", "because", paths),))
    (line,) = remarks.of_component(waived)
    assert line == "waiver for pickle in " + ", ".join(paths[:8]) + " and 992 more: because"
    signed = VendorSignature("key", sha512("sig"), 900, ("PEM",), 2000, LeftOut(1500, paths))
    assert remarks.coverage(replace(BASE, vendor_signature=signed)) == (
        "vendor signature covers 500 of 2000 files: left out " + ", ".join(paths[:8]) + " and 1492 more"
    )
