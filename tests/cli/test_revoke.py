"""``airlift low revoke``: what is said and answered, and that nothing is left where it is refused."""

import pytest

from airlift.bundle.revocations import TYPES
from airlift.cli.low.revoke import Type
from tests.cli.conftest import World

SIGN = ("--key", "keys/release-cy.key", "--key", "keys/release-di.key")
ROOT = ("--key", "keys/root-ada.key", "--key", "keys/root-bo.key")
WHY = ("--reason", "passes prompts in base64")
JSON = ("--format", "json")


def state(world: World) -> dict[str, bytes]:
    """Return what a refusal must leave as it was."""
    places = [*(world.folder / "depot/pending").iterdir(), *(world.folder / "depot/metadata").iterdir()]
    return {path.name: path.read_bytes() for path in [*places, world.folder / "depot/log.jsonl"]}


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (2, "change-pending", ("guard@1", *WHY)),
        (2, "usage", ("guard@1", *WHY, "--replace", "--with-pending")),
        (2, "usage", ("guard@1", "--reason", " ")),
        (2, "usage", ("guard@1", *WHY, "--type", "whim")),
        (2, "usage", ("guard@1",)),
        (2, "usage", ("keys/release-cy.pub", *WHY, "--with-pending")),
        (2, "usage", ("0" * 64, *WHY, "--with-pending")),
        (5, "release-not-held", ("guard@9", *WHY, "--with-pending")),
        (5, "release-not-held", ("guard@1", *WHY, "--with-pending", "--lift")),
        (6, "revoked", ("guard@5", *WHY, "--with-pending")),
        (7, "key-unavailable", ("guard@1", *WHY, "--with-pending", "--key", "keys/nobody.key")),
    ],
)
def test_refusals(world: World, code: int, error: str, words: tuple[str, ...]) -> None:
    before = state(world)
    said = world.quick("low", "revoke", *words, *JSON).expect(code)
    assert said.error["code"] == error
    assert said.error["hint"]
    assert state(world) == before


def test_a_guard_is_revoked_and_the_revocation_lifted(world: World) -> None:
    digest = guard(world)
    said = world.run("low", "revoke", "guard@1", *WHY, "--replace", *SIGN).expect(0)
    assert f"revoked: component guard@1 (digest {digest[:32]}), serial 1, vulnerability: {WHY[1]}" in said.out
    assert "1 signatures for the pending change of targets metadata are dropped" in said.err
    for words in (
        "warning: bundle alpha-1 is outstanding and brings what is revoked",
        "then: airlift low withdraw alpha-1 --bundler-key KEY",
        "then: airlift low renew --output DIR --bundler-key KEY",
    ):
        assert words in said.err

    again = world.quick("low", "revoke", "guard@1", *WHY, *JSON).expect(0)
    entry = {
        "kind": "component",
        "digest": digest,
        "serial": 1,
        "type": "vulnerability",
        "reason": WHY[1],
        "names": ["guard@1"],
    }
    assert {key: again.data[key] for key in ("revoked", "already", "lifted", "published", "outstanding")} == {
        "revoked": [entry],
        "already": True,
        "lifted": [],
        "published": True,
        "outstanding": ["alpha-1", "beta-3"],
    }
    for verb in ("status", "list"):
        assert world.quick("low", verb, *JSON).expect(0).data["revocations"] == [entry]
        table = world.quick("low", verb).expect(0).out
        assert all(text in table for text in ("guard@1", "vulnerability", WHY[1]))

    refused = world.quick(
        *("low", "bundle", "demo@1", "--output", "media", "--bundler-key", "keys/bundler.key", *JSON)
    ).expect(6)
    assert refused.error["code"] == "revoked"
    assert refused.error["message"] == f"component guard 1 is revoked: {WHY[1]}"

    waiting = world.quick("low", "revoke", "guard@1", *WHY, "--lift", *SIGN, *JSON).expect(0)
    assert (waiting.data["published"], waiting.data["lifted"]) == (False, [entry])
    assert {item["role"]: item["missing"] for item in waiting.data["changes"]} == {"release": 0, "root": 2}
    shown = world.quick("low", "sign", "root", *ROOT).expect(0)
    assert f"revocation lifted: component guard@1 (digest {digest[:32]}), serial 1" in shown.out
    assert world.quick("low", "status", *JSON).expect(0).data["revocations"] == []
    events = world.quick("low", "log", *JSON).expect(0).data["events"]
    assert [event["event"] for event in events][-3:] == ["revoke", "lift", "sign"]


def test_a_dry_run_and_a_renewal(world: World) -> None:
    before = state(world)
    said = world.quick("low", "revoke", "demo@2", *WHY, "--with-pending", "--dry-run", *JSON).expect(0)
    assert (said.data["dry_run"], said.data["published"], said.data["revoked"][0]["kind"]) == (
        True,
        False,
        "release",
    )
    assert state(world) == before
    done = world.quick("low", "revoke", "demo@2", *WHY, "--with-pending", *SIGN, *JSON).expect(0)
    assert done.data["published"]
    listing = world.quick("low", "list", *JSON).expect(0).data["releases"]
    assert {item["release"]: item["state"] for item in listing}["demo@5"] == "published"
    made = world.quick(
        *("low", "renew", "--output", "media", "--bundler-key", "keys/bundler.key", *JSON)
    ).expect(0)
    assert (made.data["revocations"], len(made.data["volumes"])) == (1, 1)


def test_an_unknown_file_is_a_warning(world: World) -> None:
    said = world.quick("low", "revoke", "0" * 128, *WHY, "--with-pending").expect(0)
    assert f"warning: file {'0' * 128} is not of anything that this depot knows" in said.err


def test_the_types_are_those_of_the_list() -> None:
    """The command line names them itself, so that it need not load what reads a list."""
    assert sorted(kind.value for kind in Type) == sorted(TYPES)


def guard(world: World) -> str:
    """Return the digest of guard 1."""
    said = world.quick("low", "revoke", "guard@1", *WHY, "--replace", "--dry-run", *JSON).expect(0)
    digest: str = said.data["revoked"][0]["digest"]
    return digest
