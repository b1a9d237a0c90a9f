"""What becomes of a release that was revoked, through the real commands of both sides (SPEC 5.4, 7.9).

What is served, what status and the record say, and that nothing brings it back but the root.
"""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import World, pack
from tests.cli.test_in_charge import APPROVERS, SIGNING, policy, release
from tests.cli.test_refusals import refused
from tests.cli.transcript import Transcript
from tests.support import vendor

JSON = ("--format", "json")
KEY = ("--bundler-key", "keys/bundler.key")
REASON = "passes prompts in base64"
WHY = ("--reason", REASON, *SIGNING)
ROOT = ("--key", "keys/root-ada.key", "--key", "keys/root-bo.key")
RULES = b"rules of 2\n" * 50
"""The file of guard 2."""
GUARD = f"component guard 2 is revoked: {REASON}"


@pytest.fixture(scope="module")
def prepared_two(prepared_running: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world whose enclave runs demo@2, and holds demo@1."""
    world = prepared_running.copy(tmp_path_factory.mktemp("two") / "world")
    world.quick("high", "import", *world.volumes("alpha-2"), "--activate").expect(0)
    return world


@pytest.fixture
def two(prepared_two: World, tmp_path: Path) -> World:
    return prepared_two.copy(tmp_path / "world")


def revoke(world: World, *subjects: str) -> None:
    world.quick("low", "revoke", *subjects, *WHY).expect(0)


def renewal(world: World) -> Path:
    """Return the volume of a bundle that carries fresh metadata and revocations only."""
    made = world.quick("low", "renew", "--output", "renewals", *KEY, *JSON).expect(0)
    return world.folder / str(made.data["volumes"][0]["path"])


def bring(world: World, *subjects: str) -> Transcript:
    """Revoke on the low side, and import a renewal on the high side."""
    revoke(world, *subjects)
    return world.quick("high", "import", renewal(world), *JSON).expect(0)


def served(world: World) -> str | None:
    """Return the version of the guard that is served, read where model servers read it."""
    place = world.folder / "enclave/active"
    return (place / "guard/rules.txt").read_text().split()[2] if place.is_symlink() else None


def history(world: World, last: int) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = world.quick("provenance", "history", *JSON).expect(0).data["entries"]
    return entries[-last:]


def types(world: World, last: int) -> list[str]:
    return [entry["type"] for entry in history(world, last)]


def status(world: World) -> dict[str, Any]:
    return world.quick("high", "status", *JSON).expect(0).data


def was_active(world: World) -> Transcript:
    return world.quick("provenance", "at", "2999-01-01", *JSON)


# -- the three values of `revoked` ---------------------------------------------------------------------------------


def test_it_falls_back_to_what_is_held_and_may_run(two: World) -> None:
    said = bring(two, "guard@2")
    assert said.data["enforced"] == {
        "action": "fall-back", "release": "demo@2", "active": "demo@1", "because": [GUARD],
        "unserved": [],
    }  # fmt: skip
    assert f"warning: the active release demo@2 is revoked and gave way to demo@1: {GUARD}" in said.err
    assert served(two) == "1"
    told = status(two)
    (listed,) = told["revocations"]
    assert (told["active"], listed["kind"], listed["type"], listed["reason"]) == (
        "demo@1", "component", "vulnerability", REASON,
    )  # fmt: skip
    assert not [text for text in told["warnings"] if "revoked" in text]
    assert f"(vulnerability): {REASON}" in two.quick("high", "status").expect(0).out
    switched = ["rollback-prepare", "rollback-commit"]
    assert types(two, 5) == ["revocations", "import-prepare", "import-commit", *switched]
    assert [entry["detail"]["because"] for entry in history(two, 2)] == ["revoked", "revoked"]
    assert was_active(two).expect(0).data["release"] == "demo@1"
    two.quick("provenance", "verify").expect(0)
    for words in (("activate", "demo@2"), ("rollback", "--yes"), ("rollback", "--to", "demo@2", "--yes")):
        error = refused(two, 6, "high", *words).error
        assert (error["code"], error["message"]) == ("revoked", GUARD)
        assert error["found"] == f"vulnerability (component {listed['digest'][:16]})"
    again = two.quick("high", "import", renewal(two), *JSON).expect(0)
    assert (again.data["enforced"], served(two)) == (None, "1")


@pytest.mark.parametrize(
    ("text", "subject", "next_"), [("revoked: withdraw\n", "guard@2", 0), ("", "corpus@1", 6)]
)
def test_it_is_withdrawn_if_policy_says_so_or_nothing_may_run(
    two: World, text: str, subject: str, next_: int
) -> None:
    policy(two, text)
    said = bring(two, subject)
    enforced = said.data["enforced"]
    assert (enforced["action"], enforced["release"], enforced["active"]) == ("withdraw", "demo@2", None)
    assert "is revoked and was withdrawn: nothing is active" in said.err
    assert served(two) is None
    told = status(two)
    assert (told["active"], told["installed"]) == (None, ["demo@1", "demo@2"])
    assert not [text for text in told["warnings"] if "revoked" in text]
    assert types(two, 2) == ["withdraw-prepare", "withdraw-commit"]
    assert [entry["detail"]["because"] for entry in history(two, 2)] == ["revoked", "revoked"]
    assert "nothing was active then" in was_active(two).expect(5).error["message"]
    assert refused(two, 6, "high", "activate", "demo@2").error["code"] == "revoked"
    two.quick("high", "activate", "demo@1").expect(next_)
    assert served(two) == (None if next_ else "1")


def test_it_is_only_reported_until_policy_says_otherwise(two: World) -> None:
    policy(two, "revoked: report\n")
    said = bring(two, "guard@2")
    enforced = said.data["enforced"]
    assert (enforced["action"], enforced["active"]) == ("report", "demo@2")
    assert f"the active release demo@2 is revoked and policy lets it run on: {GUARD}" in said.err
    assert (served(two), types(two, 1)) == ("2", ["import-commit"])
    assert f"revoked, and active: {GUARD}" in status(two)["warnings"]
    assert f"warning: revoked, and active: {GUARD}" in two.quick("high", "status").expect(0).out
    assert refused(two, 6, "high", "activate", "demo@2").error["code"] == "revoked"
    (two.folder / "policy.yaml").write_text("airlift: 1\nenclave: alpha\n")
    said = two.quick("high", "policy", "set", "policy.yaml", *JSON).expect(0)
    enforced = said.data["enforced"]
    assert (enforced["action"], enforced["active"], served(two)) == ("fall-back", "demo@1", "1")
    assert "gave way to demo@1" in said.err
    assert types(two, 3) == ["policy", "rollback-prepare", "rollback-commit"]


# -- what is revoked, and how it comes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("demo@2", "release demo@2"),
        ("guard@2", "component guard 2"),
        (hashlib.sha512(RULES).hexdigest(), "file rules.txt of component guard"),
        (f"file:{hashlib.sha256(RULES).hexdigest()}", "file rules.txt of component guard"),
    ],
    ids=["release", "component", "file", "file by SHA-256"],
)
def test_each_kind_of_thing_that_a_release_is_hit_by(two: World, subject: str, text: str) -> None:
    assert bring(two, subject).data["enforced"]["because"] == [f"{text} is revoked: {REASON}"]
    assert served(two) == "1"
    assert refused(two, 6, "high", "activate", "demo@2").error["message"] == f"{text} is revoked: {REASON}"


def test_a_key_that_is_revoked_speaks_no_more(two: World) -> None:
    policy(two, APPROVERS)
    approve = ("high", "approve", "demo@2", "--key")
    two.quick(*approve, "keys/officer-ed.key").expect(0)
    two.quick("high", "activate", "demo@2").expect(0)
    assert bring(two, "keys/officer-ed.pub", "--type", "compromise").data["enforced"] is None
    assert served(two) == "2"
    for _ in range(2):
        error = refused(two, 6, "high", "activate", "demo@2").error
        assert (error["code"], error["expected"], error["found"][:1]) == ("quorum-unmet", "1", "0")
        two.quick(*approve, "keys/officer-ed.key")  # whatever it says again
    two.quick(*approve, "keys/officer-flo.key").expect(0)
    two.quick("high", "activate", "demo@2").expect(0)


def test_a_vendors_key_takes_along_what_only_it_vouches_for(two: World) -> None:
    (two.folder / "vendor.pub").write_bytes(vendor.public())
    manifest = release(two, "6", more=", vendor_signature: {path: vendor.sig, public_key: vendor.pub}")
    data = (two.folder / "sources/shield-6/rules.txt").read_bytes()
    (two.folder / "vendor.sig").write_bytes(vendor.sign({"rules.txt": data}))
    two.quick("low", "release", manifest, *SIGNING).expect(0)
    pack(two, "6", "--for", "alpha", "--from", "demo@2")
    two.quick("high", "import", *two.volumes("alpha-6"), "--activate").expect(0)
    enforced = bring(two, "vendor.pub", "--type", "compromise").data["enforced"]
    text = f"the key that vouches for the content of component guard is revoked: {REASON}"
    assert (enforced["because"], enforced["active"], served(two)) == ([text], "demo@2", "2")
    assert refused(two, 6, "high", "activate", "demo@6").error["message"] == text


def test_it_holds_although_the_bundle_that_says_so_is_refused(two: World) -> None:
    revoke(two, "guard@2")
    pack(two, "3", "--for", "alpha", "--from", "none")
    said = two.quick("high", "import", *two.volumes("alpha-6"), *JSON).expect(6)
    assert (said.error["code"], said.data["enforced"]["active"]) == ("marking-refused", "demo@1")
    assert served(two) == "1"
    assert types(two, 4) == ["revocations", "import-reject", "rollback-prepare", "rollback-commit"]


def test_what_serves_changes_once_if_the_bundle_brings_another_release(two: World) -> None:
    two.quick("low", "release", release(two, "6"), *SIGNING).expect(0)
    revoke(two, "guard@2")
    pack(two, "6", "--for", "alpha", "--from", "demo@2")
    said = two.quick("high", "import", *two.volumes("alpha-6"), "--activate", *JSON).expect(0)
    assert (said.data["activated"], said.data["enforced"]) == (True, None)
    assert types(two, 5) == [
        "revocations", "import-prepare", "import-commit", "activate-prepare", "activate-commit",
    ]  # fmt: skip
    assert status(two)["active"] == "demo@6"
    error = refused(two, 6, "high", "rollback", "--yes").error
    assert (error["code"], error["message"]) == ("revoked", GUARD)
    assert "`airlift high activate demo@1`" in error["hint"]


def test_only_the_root_ends_it(two: World) -> None:
    bring(two, "guard@2")
    words = ("low", "revoke", "guard@2", "--lift", *WHY)
    assert not two.quick(*words, *JSON).expect(0).data["published"]
    two.quick("high", "import", renewal(two)).expect(0)
    assert refused(two, 6, "high", "activate", "demo@2").error["code"] == "revoked"
    two.quick("low", "sign", "root", *ROOT).expect(0)
    two.quick("high", "import", renewal(two)).expect(0)
    assert status(two)["revocations"] == []
    two.quick("high", "activate", "demo@2").expect(0)
    assert served(two) == "2"


def test_what_is_revoked_is_not_served(two: World) -> None:
    """8.7-5: neither as a release that is held, nor what takes its place; after root lifted it, it is."""
    words = ("high", "export", "demo@1", "--layout", "tree", "--output", "served")
    bring(two, "guard@1")
    error = refused(two, 6, *words).error
    assert (error["code"], error["expected"]) == ("revoked", "nothing revoked")
    assert error["found"].startswith("vulnerability (component ")
    assert not (two.folder / "served").exists()
    two.quick("high", "export", "active", "--layout", "tree", "--output", "running").expect(0)
    lifting = ("--lift", "--reason", "a false alarm", *SIGNING, *ROOT)
    two.quick("low", "revoke", "guard@1", *lifting).expect(0)
    two.quick("high", "import", renewal(two)).expect(0)
    two.quick(*words).expect(0)
    assert (two.folder / "served/guard/rules.txt").read_text().startswith("rules of 1")
