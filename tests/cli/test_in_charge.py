"""Rules that hold a release back, through the real commands: each is broken (exit 6) and satisfied."""

from pathlib import Path

from tests.cli.conftest import POLICY, World, pack
from tests.cli.test_refusals import entries, refused

SIGNING = ("--key", "keys/release-cy.key", "--key", "keys/release-di.key", "--replace")
APPROVERS = "attestations:\n  approval: {threshold: 1, keys: [keys/officer-ed.pub, keys/officer-flo.pub]}\n"
BOTH = ("--key", "keys/officer-ed.key", "--key", "keys/officer-flo.key")


def policy(world: World, text: str = "") -> None:
    (world.folder / "policy.yaml").write_text(POLICY.replace("airlift: 1", "airlift: 2") + text)
    world.quick("high", "policy", "set", "policy.yaml").expect(0)


def release(world: World, version: str, name: str = "guard", more: str = "", guard: str = "") -> Path:
    """Write the manifest of a release whose guard has another name."""
    folder = world.folder / f"sources/shield-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.txt").write_text(f"shield {version}\n" * 50)
    path = world.folder / f"demo-{version}.yaml"
    path.write_text(
        f"airlift: 1\nrelease: demo\nversion: '{version}'\nmarking: {{level: UNCLASSIFIED}}\ncomponents:\n"
        "  - {name: corpus, kind: data, version: '1', source: {path: sources/corpus}}\n"
        f"  - {{name: {name}, kind: guard, version: '{guard or version}', source: {{path: sources/shield-{version}}}"
        f"{more}}}\n"
    )
    return path


def test_a_floor_is_a_ratchet(running: World) -> None:
    """THREATS, rules: a rollback below a floor."""
    running.quick("high", "import", *running.volumes("alpha-2"), "--activate").expect(0)
    said = running.quick(
        "high", "floor", "guard", "2", "--reason", "a jailbreak of 1", "--format", "json"
    ).expect(0)
    assert said.data["version"] == "2"
    assert entries(running)[-1] == "floor"
    for words in (("rollback", "--yes"), ("activate", "demo@1")):
        said = refused(running, 6, "high", *words)
        assert (said.error["code"], said.error["expected"], said.error["found"]) == (
            "below-floor",
            ">= 2",
            "1",
        )
    policy(running, "floors: {guard: '1'}\n" + APPROVERS)
    assert refused(running, 6, "high", "rollback", "--yes").error["code"] == "below-floor"
    lower = ("high", "floor", "guard", "none", "--reason", "2 was recalled")
    said = refused(running, 6, *lower, *BOTH)
    assert said.error["message"] == "the policy in force has a floor of its own for guard"
    policy(running, APPROVERS)
    assert refused(running, 2, *lower).error["code"] == "usage"
    said = refused(running, 6, *lower, "--key", "keys/officer-ed.key", "--key", "keys/release-cy.key")
    assert (said.error["code"], said.error["expected"], said.error["found"]) == ("quorum-unmet", "2", "1")
    running.quick(*lower, *BOTH).expect(0)
    policy(running)
    running.quick("high", "rollback", "--yes").expect(0)


def test_a_floor_by_kind_and_a_guard_under_another_name(running: World) -> None:
    """THREATS, rules: a guard that was renamed to slip through a floor."""
    running.quick("high", "floor", "guard", "1", "--reason", "r").expect(0)
    running.quick("low", "release", release(running, "6", "shield"), *SIGNING).expect(0)
    pack(running, "6", "--for", "alpha", "--from", "demo@1")
    said = refused(running, 6, "high", "import", *running.volumes("alpha-6"), "--activate")
    assert "replaces: [guard]" in said.error["expected"]
    running.quick(
        "low", "release", release(running, "7", "shield", ", replaces: [guard]", guard="0.9"), *SIGNING
    ).expect(0)
    pack(running, "7", "--for", "alpha", "--from", "demo@1")
    said = refused(running, 6, "high", "import", *running.volumes("alpha-7"), "--activate")
    assert said.error["message"] == "component shield is below the guard's floor"
    running.quick("low", "release", release(running, "8", "shield", ", replaces: [guard]"), *SIGNING).expect(
        0
    )
    pack(running, "8", "--for", "alpha", "--from", "demo@1")
    running.quick("high", "import", *running.volumes("alpha-8"), "--activate").expect(0)
    running.quick("high", "floor", "kind:guard", "9", "--reason", "r").expect(0)
    assert refused(running, 6, "high", "activate", "demo@8").error["found"] == "8"


def test_a_guard_that_was_renamed_before_the_old_one_was_collected(running: World) -> None:
    """8.2-9: whether a release in which the guard had its name is still held plays no part."""
    for version, base in (("6", "demo@1"), ("7", "demo@6")):
        running.quick("low", "release", release(running, version, "shield"), *SIGNING).expect(0)
        pack(running, version, "--for", "alpha", "--from", base)
        running.quick("high", "import", *running.volumes(f"alpha-{version}"), "--activate").expect(0)
    removed = (
        running.quick("high", "gc", "--keep", "1", "--yes", "--format", "json").expect(0).data["removed"]
    )
    assert len(removed) == 1
    assert "demo@1" not in running.quick("high", "list").expect(0).out
    running.quick("high", "floor", "guard", "1", "--reason", "r").expect(0)
    for words in (("activate", "demo@6"), ("rollback", "--yes")):
        said = refused(running, 6, "high", *words)
        assert (said.error["code"], said.error["expected"], said.error["found"]) == (
            "below-floor", "guard >= 1, or `replaces: [guard]` in shield", "shield 6",
        )  # fmt: skip
    running.quick("low", "release", release(running, "8", "shield", ", replaces: [guard]"), *SIGNING).expect(
        0
    )
    pack(running, "8", "--for", "alpha", "--from", "demo@7")
    running.quick("high", "import", *running.volumes("alpha-8"), "--activate").expect(0)


def test_what_replaces_must_not_be_there(world: World) -> None:
    for more, code in (
        (", replaces: [corpus]", "manifest-invalid"),
        (", replaces: [guard]", "manifest-invalid"),
    ):
        said = world.quick(
            "low", "release", release(world, "6", more=more), *SIGNING, "--format", "json"
        ).expect(2)
        assert said.error["code"] == code


def test_a_depot_that_knows_a_ceiling_cuts_no_bundle_beyond_it(world: World) -> None:
    enrol = ("low", "enrol", "alpha", "--ledger-key", "keys/ledger.pub")
    common = ("--for", "alpha", "--output", "media", "--bundler-key", "keys/bundler.key", "--from", "none")
    world.quick(*enrol, "--ceiling", "CUI//NOFORN").expect(0)
    said = refused(world, 6, "low", "bundle", "demo@3", *common)
    assert (said.error["code"], said.error["expected"], said.error["found"]) == (
        "marking-refused", "CUI//NOFORN", "SECRET",
    )  # fmt: skip
    assert (
        refused(world, 6, "low", "recut", "alpha-4", "--output", "again").error["code"] == "marking-refused"
    )
    world.quick("low", "bundle", "demo@1", *common).expect(0)
    said = world.quick(*enrol, "--ceiling", "SECRET", "--format", "json").expect(0)
    assert (said.data["already"], said.data["ceiling"]) == (False, {"level": "SECRET", "caveats": []})
    assert world.quick(*enrol, "--format", "json").expect(0).data["already"]
    world.quick("low", "bundle", "demo@3", *common).expect(0)
    assert (
        world.quick(*enrol, "--ceiling", "SECRET/NOFORN", "--format", "json").expect(2).error["code"]
        == "usage"
    )


def test_knowledge_that_is_too_old(running: World) -> None:
    policy(running, "staleness: {refuse_behind: 1}\n" + APPROVERS)
    running.quick("high", "approve", "demo@1", "--key", "keys/officer-ed.key").expect(0)
    running.quick("high", "activate", "demo@1").expect(0)
    running.quick("high", "import", *running.volumes("alpha-5")).expect(0)
    said = refused(running, 6, "high", "activate", "demo@1")
    assert (said.error["code"], said.error["expected"], said.error["found"]) == (
        "stale", "at most 1 sequence numbers", "4",
    )  # fmt: skip
    words = ("high", "activate", "demo@1", "--insecure-stale", "--reason", "no courier")
    assert refused(running, 2, *words).error["code"] == "usage"
    assert refused(running, 2, "high", "activate", "demo@1", "--reason", "x").error["code"] == "usage"
    running.quick(*words, *BOTH).expect(0)


def test_a_plan_tells_what_each_rule_says_and_what_it_takes(running: World) -> None:
    policy(
        running,
        "requires:\n  - {kind: guard, needs: corpus, version: '>=1'}\nfloors: {'kind:guard': '1'}\n"
        + APPROVERS,
    )
    before = running.installed()
    said = running.quick("high", "plan", *running.volumes("alpha-2"), "--format", "json").expect(0)
    plan, rules = said.data["plan"], said.data["rules"]
    assert (plan["installs"], plan["activates"], plan["replaces"], plan["removes"], plan["revokes"]) == (
        "demo@2", "demo@2", "demo@1", [], 0,
    )  # fmt: skip
    assert plan["needed"] > 16 << 20 < plan["free"]
    assert plan["seconds"] >= 1
    assert {item["rule"] for item in rules} == {"marking", "revocation", "requirement", "floor", "quorum"}
    unmet = [
        (item["rule"], item["subject"], item["expected"], item["found"]) for item in rules if not item["met"]
    ]
    assert unmet == [("quorum", "approval", "1", "0")]
    assert [item["code"] for item in said.data["objections"]] == ["quorum-unmet"]
    floor = next(item for item in rules if item["rule"] == "floor")
    assert (floor["subject"], floor["expected"], floor["found"]) == ("component guard", ">= 1", "2")
    text = running.quick("high", "plan", *running.volumes("alpha-2")).expect(0).out
    for words in ("installs", "demo@2", "component guard", ">= 1", "NO"):
        assert words in text
    trial = running.quick(
        "high", "import", *running.volumes("alpha-2"), "--dry-run", "--format", "json"
    ).expect(0)
    assert trial.data["plan"]["activates"] is None
    assert running.installed() == before
