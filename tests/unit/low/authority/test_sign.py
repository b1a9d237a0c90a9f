from dataclasses import replace
from pathlib import Path

import pytest

from airlift.bundle import release as releases
from airlift.errors import (
    DigestError,
    ExistsError,
    KeyUnavailableError,
    NotHeldError,
    PendingError,
    SignatureError,
    UsageError,
)
from airlift.low.authority import sign as sign_module
from airlift.low.authority.pending import pending_releases
from airlift.low.authority.rotate import Rotation, rotate
from airlift.low.authority.sign import SignResult, Transfer, sign
from airlift.low.depot.events import read_events
from airlift.low.release.make_release import make_release
from tests.support import keys
from tests.support.depots import BUNDLER, NOW, RELEASERS, ROOTS, Site, make_site, signed_site
from tests.support.weights import weights

BASE = {"base": {"model.safetensors": weights(1), "config.json": b"{}"}}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return signed_site(tmp_path)


def signed(site: Site, what: str | None, *names: str, **more: object) -> SignResult:
    return sign(site.depot, what, signers=[keys.signer(name) for name in names], now=NOW, **more)  # type: ignore[arg-type]


def test_one_by_one(site: Site) -> None:
    digest = site.release(BASE, names=()).digest
    one = signed(site, "assistant@1", "dan")
    assert (one.release, one.digest, one.signatures, one.threshold, one.published) == (
        "assistant@1",
        digest,
        1,
        2,
        False,
    )
    again = signed(site, "assistant@1", "dan")
    assert (again.signatures, again.published) == (1, False)
    two = signed(site, digest[:12], "frank")
    assert (two.signatures, two.published) == (2, True)
    after = signed(site, "assistant@1", "erin")
    assert (after.published, after.signatures, after.changes) == (True, 2, ())
    assert [item.event for item in read_events(site.depot)] == ["init", "release", "sign", "sign", "sign"]


def test_signers_see_what_changes(site: Site) -> None:
    site.release(BASE, names=())
    (change,) = signed(site, None, dry_run=True).changes
    text = "\n".join(change.differences)
    assert change.role == "release"
    for words in (
        "metadata version: 1 -> 2",
        "release assistant@1, marking UNCLASSIFIED",
        "component added: base 1",
    ):
        assert words in text
    assert change.signatures == 0


def test_content_is_read_again_before_it_is_signed(site: Site) -> None:
    digest = site.release(BASE, names=()).digest
    (one, two) = site.depot.load_release(digest).components[0].files
    path = site.depot.content.path(two.sha512)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    with pytest.raises(DigestError, match="nothing was signed"):
        signed(site, None, "dan")
    path.unlink()
    with pytest.raises(DigestError):
        signed(site, None, "dan")
    assert signed(site, None, dry_run=True).signatures == 0
    assert one.sha512 != two.sha512


def test_releases_that_state_different_pieces_are_not_signed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What broke: only what the last one states was held against the content."""
    monkeypatch.setattr(releases, "PIECE_BYTES", 48 << 10)
    site.release({"base": {"model.safetensors": weights(1, rows=400, columns=512)}}, names=())
    (release,) = pending_releases(site.depot)
    table = site.depot.documents.load(release.pieces or "")
    wrong = bytes(64) + table[64:]
    digest = site.depot.documents.keep(wrong)
    other = replace(release, version="2", pieces=digest)
    for pending in ((other, release), (release, other)):
        monkeypatch.setattr(sign_module, "pending_releases", lambda _depot, found=pending: found)
        with pytest.raises(DigestError, match="different pieces"):
            signed(site, None, "dan")


def test_the_manifest_is_read_again_before_it_is_signed(site: Site) -> None:
    digest = site.release(BASE, names=()).digest
    path = site.depot.folder / "documents" / f"{digest[:64]}.json"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"base", b"bath"))
    with pytest.raises(DigestError):
        signed(site, None, "dan")


def test_a_depot_whose_members_sign_later(tmp_path: Path) -> None:
    site = make_site(tmp_path, signed=False)
    first = signed(site, None, "alice", "dan", "erin")
    assert [change.role for change in first.changes] == ["release", "root"]
    assert (first.release, first.published) == (None, False)
    assert first.changes[0].waits_for == "root"
    assert not site.depot.root.exists()
    last = signed(site, "root", "bob")
    assert last.published
    assert site.depot.root.exists()
    assert signed_nothing(site)
    assert site.release(BASE).published


def signed_nothing(site: Site) -> bool:
    with pytest.raises(UsageError, match="nothing is pending"):
        signed(site, None, "alice")
    return True


@pytest.mark.parametrize("what", ["root", "release", None])
def test_nothing_is_pending(site: Site, what: str | None) -> None:
    with pytest.raises(UsageError, match="pending"):
        signed(site, what, "dan")


def test_nothing_to_do(site: Site) -> None:
    with pytest.raises(UsageError, match="nothing is pending"):
        signed(site, None)


def test_a_dropped_release(site: Site) -> None:
    site.release(BASE, names=())
    make_release(
        site.depot, site.manifest({"base": {"a.safetensors": weights(2)}}, "2"), now=NOW, replace=True
    )
    with pytest.raises(UsageError, match="assistant@1 is not pending"):
        signed(site, "assistant@1", "dan")
    with pytest.raises(NotHeldError):
        signed(site, "assistant@3", "dan")


@pytest.mark.parametrize("name", ["alice", BUNDLER])
def test_a_key_of_another_role(site: Site, name: str) -> None:
    """THREATS, update system: wrong role, key of another role."""
    site.release(BASE, names=())
    with pytest.raises(KeyUnavailableError):
        signed(site, None, "dan", name)
    assert signed(site, None, dry_run=True).signatures == 0


# -- on other machines -----------------------------------------------------------------------------------------------


def test_there_and_back(site: Site, tmp_path: Path) -> None:
    site.release(BASE, names=RELEASERS[:1])
    sent, back = tmp_path / "sent.json", tmp_path / "back.json"
    exported = signed(site, "assistant@1", transfer=Transfer(export=sent))
    assert exported.exported == sent
    seen = sign(None, None, transfer=Transfer(sent), now=NOW, dry_run=True)
    assert any("component added: base 1" in line for line in seen.changes[0].differences)
    assert (seen.release, seen.signatures, seen.exported) == ("assistant@1", 1, None)
    there = sign(None, None, signers=[keys.signer("erin")], transfer=Transfer(sent, back), now=NOW)
    assert (there.signatures, there.threshold, there.published) == (2, 2, False)
    result = signed(site, None, transfer=Transfer(back))
    assert (result.published, result.release) == (True, "assistant@1"), "what was published was not named"
    assert read_events(site.depot)[-1].event == "merge"


def test_root_there_and_back(site: Site, tmp_path: Path) -> None:
    sent, back = tmp_path / "sent.json", tmp_path / "back.json"
    before = site.depot.root.read_bytes()
    rotate(site.depot, Rotation("root", threshold=3), now=NOW)
    signed(site, "root", "alice", "bob", transfer=Transfer(export=sent))
    sign(None, None, signers=[keys.signer("carol")], transfer=Transfer(sent, back), now=NOW)
    result = signed(site, None, transfer=Transfer(back))
    assert (result.published, result.release) == (True, None)
    assert site.depot.root.read_bytes() != before


def test_two_changes_do_not_go_into_one_file(tmp_path: Path) -> None:
    site = make_site(tmp_path, signed=False)
    with pytest.raises(UsageError, match="one change"):
        signed(site, None, transfer=Transfer(export=tmp_path / "sent.json"))
    assert not (tmp_path / "sent.json").exists()
    assert signed(site, "release", transfer=Transfer(export=tmp_path / "sent.json")).exported


def test_a_file_is_not_overwritten(site: Site, tmp_path: Path) -> None:
    site.release(BASE, names=())
    (tmp_path / "sent.json").write_bytes(b"mine")
    with pytest.raises(ExistsError):
        signed(site, None, transfer=Transfer(export=tmp_path / "sent.json"))


def test_without_a_depot_a_file_is_signed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="without a depot"):
        sign(None, None, signers=[keys.signer("dan")], now=NOW)
    with pytest.raises(UsageError):
        sign(None, None, signers=[keys.signer("dan")], transfer=Transfer(tmp_path / "x"), now=NOW)


def test_another_change_is_not_merged(site: Site, tmp_path: Path) -> None:
    sent, back = tmp_path / "sent.json", tmp_path / "back.json"
    site.release(BASE, names=())
    signed(site, None, transfer=Transfer(export=sent))
    sign(None, None, signers=[keys.signer("dan")], transfer=Transfer(sent, back), now=NOW)
    make_release(
        site.depot, site.manifest({"base": {"a.safetensors": weights(2)}}, "2"), now=NOW, replace=True
    )
    with pytest.raises(PendingError):
        signed(site, None, transfer=Transfer(back))


def test_a_signature_that_was_tampered_with(site: Site, tmp_path: Path) -> None:
    sent, back = tmp_path / "sent.json", tmp_path / "back.json"
    site.release(BASE, names=())
    signed(site, None, transfer=Transfer(export=sent))
    sign(None, None, signers=[keys.signer("dan")], transfer=Transfer(sent, back), now=NOW)
    text = back.read_text()
    start = text.index('"sig":"') + 7
    back.chmod(0o644)
    back.write_text(text[:start] + ("0" if text[start] != "0" else "1") + text[start + 1 :])
    with pytest.raises(SignatureError):
        signed(site, None, transfer=Transfer(back))


# -- rotation --------------------------------------------------------------------------------------------------------


def test_rotate_a_release_key(site: Site) -> None:
    keys.write(site.keys, "grace")
    result = rotate(
        site.depot,
        Rotation("release", [site.keys / "grace.pub"], ["frank"]),
        signers=[keys.signer(name) for name in ROOTS[:2]],
        now=NOW,
    )
    assert (result.added, result.removed, result.threshold, result.published) == (
        ("grace",),
        ("frank",),
        2,
        True,
    )
    assert site.release(BASE, names=("dan", "grace")).published
    with pytest.raises(KeyUnavailableError):
        site.release(BASE, "2", names=("frank",))


def test_rotate_the_bundler(site: Site) -> None:
    keys.write(site.keys, "newmachine")
    change = Rotation("bundler", [site.keys / "newmachine.key"], [str(site.keys / f"{BUNDLER}.pub")])
    seen = rotate(site.depot, change, now=NOW, dry_run=True)
    assert (seen.added, seen.removed, seen.changes) == (("newmachine",), (BUNDLER,), ())
    result = rotate(
        site.depot,
        change,
        signers=[keys.signer("alice"), keys.signer("dan")],
        now=NOW,
    )
    assert {item.role: item.signatures for item in result.changes} == {"root": 1, "release": 1}
    assert not result.published
    last = signed(site, None, "bob", "erin")
    assert last.published
    assert [item.published for item in last.changes] == [True, True]


def test_a_person_does_not_get_a_second_key(site: Site) -> None:
    keys.write(site.keys / "home", "grace")
    (site.keys / "home" / "DAN.pub").write_bytes((site.keys / "home" / "grace.pub").read_bytes())
    second = [site.keys / "home" / "DAN.pub"]
    with pytest.raises(UsageError, match="has 2 keys of a role"):
        rotate(site.depot, Rotation("release", second), now=NOW)
    assert rotate(site.depot, Rotation("release", second, ["dan"]), now=NOW, dry_run=True).removed == ("dan",)


def test_remove_by_digits(site: Site) -> None:
    frank = keys.signer("frank").public
    for text in (frank.key_id[:8], frank.fingerprint[:10]):
        result = rotate(site.depot, Rotation("release", remove=[text]), now=NOW, dry_run=True)
        assert result.removed == ("frank",)


@pytest.mark.parametrize(
    ("role", "change"),
    [
        ("timestamp", {"threshold": 1}),
        ("root", {}),
        ("root", {"remove": ["nobody"]}),
        ("root", {"remove": ["00000000"]}),
        ("root", {"threshold": 4}),
    ],
)
def test_rotations_that_make_no_sense(site: Site, role: str, change: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        rotate(site.depot, Rotation(role, **change), now=NOW)  # type: ignore[arg-type]
