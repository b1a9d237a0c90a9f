"""What a release states beside its files: waivers, patterns, markings; and what makes no sense of them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from airlift.bundle import release as releases
from airlift.bundle.component.component import Component
from airlift.bundle.component.waiver import KINDS, Waiver
from airlift.bundle.fields import Marking
from airlift.bundle.release import Release
from airlift.errors import ExistsError, ForbiddenFileError, ManifestError
from airlift.intake.gate import verdict
from airlift.low.release.make_release import ReleaseResult, make_release
from tests.support import keys
from tests.support.depots import NOW, RELEASERS, Site, signed_site
from tests.support.weights import weights

PLAIN = {"config.json": b"{}", "model.safetensors": weights(1)}
CODED = PLAIN | {
    "config.json": b'{"auto_map": {"AutoModel": "modeling.M"}}',
    "modeling.py": b"class M: ...\n",
}
TRAINED = PLAIN | {"optimizer.pt": b"\x80\x04]\x94.", "rng_state.pth": b"\x80\x04]\x94."}
CODE = {"what": "code", "reason": "Two people have read it."}
REMOTE = {"what": "remote-code", "reason": "The model has no other code."}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return signed_site(tmp_path)


def authored(site: Site, files: dict[str, bytes], number: str = "1", **more: Any) -> Path:
    """Write a manifest of one component ``base``; ``more`` are its further keys, ``top`` those of the release."""
    path = site.manifest({"base": files}, number)
    document = yaml.safe_load(path.read_text()) | more.pop("top", {})
    document["components"][0] |= more
    document["components"][0]["source"] |= document["components"][0].pop("chosen", {})
    path.write_text(yaml.safe_dump({key: value for key, value in document.items() if value is not None}))
    return path


def released(site: Site, *args: Any, **more: Any) -> tuple[ReleaseResult, Release]:
    signers = [keys.signer(name) for name in RELEASERS[:2]]
    result = make_release(site.depot, authored(site, *args, **more), signers=signers, now=NOW)
    return result, site.depot.load_release(result.digest)


def component(site: Site, *args: Any, **more: Any) -> Component:
    return released(site, *args, **more)[1].components[0]


def number(release: Release) -> int:
    return int(json.loads(releases.format(release))["airlift"])


# -- waivers -------------------------------------------------------------------------------------------------------


def test_what_the_gate_objects_to_is_what_can_be_waived() -> None:
    assert verdict.KINDS == KINDS


def test_a_waiver_becomes_part_of_the_release(site: Site) -> None:
    result, release = released(site, CODED, accept=[REMOTE, CODE])
    (base,) = release.components
    assert base.accept == (
        Waiver("code", "Two people have read it.", ("modeling.py",)),
        Waiver("remote-code", "The model has no other code.", ("config.json",)),
    )
    assert number(release) == 2
    assert "  waiver for code in modeling.py: Two people have read it." in result.differences


@pytest.mark.parametrize("accept", [[], [CODE], [REMOTE], [CODE, {"what": "pickle", "reason": "x"}]])
def test_a_waiver_covers_only_what_it_names(site: Site, accept: list[dict[str, str]]) -> None:
    """THREATS, content: a waiver for more than it names."""
    with pytest.raises(ForbiddenFileError) as caught:
        released(site, CODED, **({"accept": accept} if accept else {}))
    named = {item["what"] for item in accept}
    assert any(f"what: {what}" in caught.value.hint for what in {"code", "remote-code"} - named)
    assert not any(path.is_file() for path in site.depot.content.folder.rglob("*"))


@pytest.mark.parametrize(
    ("accept", "reason"),
    [
        ([CODE, REMOTE, {"what": "pickle", "reason": "x"}], "nothing in it needs the waiver for pickle"),
        ([CODE, REMOTE, dict(CODE)], "accepts one thing twice"),
        ([CODE, {"what": "remote-code"}], "missing key 'reason'"),
        ([CODE, REMOTE | {"reason": ""}], "reason"),
        ([CODE, REMOTE | {"reason": "  "}], "no reason"),
        ([CODE, REMOTE | {"reason": "x" * 4097}], "reason"),
        ([CODE, REMOTE | {"reason": "\x1b[2J"}], "control"),
        ([CODE, REMOTE | {"what": "damage"}], "damage"),
        ([], "accept"),
    ],
)
def test_waivers_that_make_no_sense(site: Site, accept: list[dict[str, str]], reason: str) -> None:
    with pytest.raises(ManifestError, match=reason) as caught:
        released(site, CODED, accept=accept)
    assert caught.value.exit_code == 2


def test_a_waiver_that_nothing_needs_is_refused(site: Site) -> None:
    with pytest.raises(
        ManifestError, match="component base: nothing in it needs the waiver for remote-code"
    ) as seen:
        released(site, PLAIN, accept=[REMOTE])
    assert "remove the line" in seen.value.hint


# -- patterns ------------------------------------------------------------------------------------------------------


def test_a_checkpoint_folder_can_be_released(site: Site) -> None:
    """Broke: ``optimizer.pt`` was refused with the hint to convert the weights, and nothing could leave it out."""
    with pytest.raises(ForbiddenFileError):
        released(site, TRAINED)
    exclude = ["optimizer.pt", "*.pth"]
    result, release = released(site, TRAINED, chosen={"exclude": exclude})
    (base,) = release.components
    assert [file.path for file in base.files] == ["config.json", "model.safetensors"]
    assert base.source == {
        "kind": "path",
        "path": "base",
        "exclude": exclude,
        "left_out": {"count": 2, "names": ["optimizer.pt", "rng_state.pth"]},
    }
    told = "  left out of its source by exclude optimizer.pt, *.pth: 2 files, optimizer.pt, rng_state.pth"
    assert told in result.differences


def test_patterns_that_leave_out_nothing_are_recorded_all_the_same(site: Site) -> None:
    base = component(site, PLAIN, chosen={"include": ["*"], "exclude": []})
    assert base.source == {"kind": "path", "path": "base", "include": ["*"]}


def test_leftovers_do_not_change_a_release(site: Site) -> None:
    """The same inputs give the same release, also after somebody opened the folder on a Mac."""
    first, release = released(site, PLAIN)
    again, _ = released(
        site, PLAIN | {".DS_Store": b"x", "._config.json": b"\0\5\x16\7", ".gitattributes": b"x"}
    )
    assert (again.digest, again.already, number(release)) == (first.digest, True, 1)
    assert again.skipped == ("base/.DS_Store", "base/._config.json", "base/.gitattributes")


def test_a_version_that_was_published_with_leftovers(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier airlift carried ``.gitattributes``: the component goes on under its version."""
    files = PLAIN | {".gitattributes": b"x"}
    with monkeypatch.context() as old:
        for place in ("collect", "choose"):
            old.setattr(f"airlift.intake.{place}.leftover", lambda _path: None)
        before = component(site, files)
    after = component(site, files, "2", version="1")
    assert {file.path for file in before.files} - {file.path for file in after.files} == {".gitattributes"}
    with pytest.raises(ExistsError, match="base 1 has other content"):
        released(site, files | {"config.json": b"[]"}, "3", version="1")


# -- markings ------------------------------------------------------------------------------------------------------


def marked(level: str, *caveats: str) -> dict[str, Any]:
    return {"level": level, "caveats": list(caveats)}


def test_the_release_is_marked_as_it_says_if_that_covers_its_components(site: Site) -> None:
    top = {"marking": marked("SECRET", "NOFORN", "ORCON")}
    result, release = released(site, PLAIN, marking=marked("CUI", "NOFORN"), top=top)
    assert release.marking == Marking("SECRET", ("NOFORN", "ORCON"))
    assert release.components[0].marking == Marking("CUI", ("NOFORN",))
    assert "  marking CUI//NOFORN" in result.differences
    assert number(release) == 2


def test_without_a_marking_of_its_own_it_is_the_join(site: Site) -> None:
    _, release = released(site, PLAIN, marking=marked("CUI", "B", "A"), top={"marking": None})
    assert release.marking == Marking("CUI", ("A", "B"))


@pytest.mark.parametrize(
    ("top", "own", "reason"),
    [
        (marked("UNCLASSIFIED"), marked("CUI"), "component base is not within the release's"),
        (marked("SECRET"), marked("CUI", "NOFORN"), "component base is not within the release's"),
        (marked("COSMIC"), marked("CUI"), "component base is not within the release's"),
        (None, None, "the release has no marking, and not every component has one"),
    ],
)
def test_a_marking_is_never_lowered(
    site: Site, top: dict[str, Any] | None, own: dict[str, Any] | None, reason: str
) -> None:
    with pytest.raises(ManifestError, match=reason) as caught:
        released(site, PLAIN, top={"marking": top}, **({"marking": own} if own else {}))
    assert caught.value.exit_code == 2


def test_levels_without_an_order_do_not_join(site: Site) -> None:
    path = site.manifest({"base": PLAIN, "other": PLAIN}, kinds={})
    document = yaml.safe_load(path.read_text())
    del document["marking"]
    for item, level in zip(document["components"], ("COSMIC", "SECRET"), strict=True):
        item["marking"] = {"level": level}
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ManifestError, match="have no order") as caught:
        make_release(site.depot, path, now=NOW)
    assert caught.value.found == "COSMIC, SECRET"
    document["components"][1]["marking"]["level"] = "COSMIC"
    path.write_text(yaml.safe_dump(document))
    result = make_release(site.depot, path, now=NOW)
    assert site.depot.load_release(result.digest).marking == Marking("COSMIC")
