"""Rules of policy, through the real commands: what breaks each, and what satisfies it (SPEC 8.2).

More of them: floors, ceilings and age in test_in_charge, quorums and bars in test_verdicts, waivers in test_waivers,
revocations in test_revoked, commands in test_owners, sub-enclaves in test_relay.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import POLICY, World, pack
from tests.cli.test_in_charge import SIGNING, policy
from tests.cli.test_refusals import entries, refused

JSON = ("--format", "json")
KEY = ("--bundler-key", "keys/bundler.key")

BY_VERSION = {
    "floor by name": ("floors: {guard: '2'}\n", "below-floor", ">= 2", "1"),
    "floor by kind": ("floors: {'kind:guard': '2'}\n", "below-floor", ">= 2", "1"),
    "coupling": (
        "requires: [{kind: data, needs: guard, version: '>=2'}]\n",
        "requirement-unmet",
        "guard >=2",
        "guard 1",
    ),
}
"""A policy that demo@2 satisfies and demo@1 does not, and how that is refused: code, expected, found."""


@pytest.fixture
def held(running: World) -> World:
    """A world that runs demo@1 and holds demo@2."""
    running.quick("high", "import", *running.volumes("alpha-2")).expect(0)
    return running


@pytest.mark.parametrize("rule", BY_VERSION)
def test_a_version_that_is_too_low_and_one_that_is_not(held: World, rule: str) -> None:
    text, *told = BY_VERSION[rule]
    policy(held, text)
    for words in (("activate", "demo@1"), ("rollback", "--to", "demo@1", "--yes")):
        error = refused(held, 6, "high", *words).error
        assert [error["code"], error["expected"], error["found"]] == told
        assert "demo@2 is held and may run: `airlift high activate demo@2`" in error["hint"]
    held.run("high", "activate", "demo@2").expect(0)
    assert refused(held, 6, "high", "rollback", "--yes").error["code"] == told[0]


def texts(world: World, version: str, more: str, requires: str = "") -> Path:
    """Write the manifest of a release whose data is called texts."""
    path = world.folder / f"demo-{version}.yaml"
    path.write_text(
        f"airlift: 1\nrelease: demo\nversion: '{version}'\nmarking: {{level: UNCLASSIFIED}}\ncomponents:\n"
        f"  - {{name: texts, kind: data, version: '2', source: {{path: sources/corpus}}{more}}}\n"
        f"  - {{name: guard, kind: guard, version: '2', source: {{path: sources/guard-2}}}}\n{requires}"
    )
    return path


def test_a_coupling_by_name_is_met_by_what_replaces_it(held: World) -> None:
    policy(held, "requires: [{kind: guard, needs: corpus, version: '>=1'}]\n")
    for version, more in (("6", ""), ("7", ", replaces: [corpus]")):
        held.quick("low", "release", texts(held, version, more), *SIGNING).expect(0)
        pack(held, version, "--for", "alpha", "--from", "demo@2")
    error = refused(held, 6, "high", "import", *held.volumes("alpha-6"), "--activate").error
    assert (error["code"], error["expected"], error["found"]) == ("requirement-unmet", "corpus >=1", "none")
    assert "the held release demo@2 has corpus >=1" in error["hint"]
    held.quick("high", "import", *held.volumes("alpha-7"), "--activate").expect(0)


def test_what_a_release_requires_of_itself(held: World) -> None:
    needs = "requires: [{{component: texts, needs: guard, version: '{}'}}]\n".format
    error = refused(held, 6, "low", "release", texts(held, "6", "", needs(">=9")), *SIGNING).error
    assert (error["code"], error["expected"], error["found"]) == ("requirement-unmet", "guard >=9", "guard 2")
    held.quick("low", "release", texts(held, "6", "", needs(">=2")), *SIGNING).expect(0)


def test_the_ceiling_is_the_lowest_level_until_policy_says_otherwise(world: World) -> None:
    words = ("--enclave", "new", "--root", "depot/root.json", "--yes", "--name", "alpha")
    world.quick("high", "init", *words, "--ledger-key", "keys/ledger.key").expect(0)
    volumes = map(str, world.volumes("alpha-4"))
    taking = ("high", "import", *volumes, "--activate", "--enclave", "new")
    error = refused(world, 6, *taking).error
    assert (error["code"], error["expected"], error["found"]) == ("marking-refused", "UNCLASSIFIED", "SECRET")
    ceiling = "airlift: 1\nenclave: alpha\nmarking: {{ceiling: {{level: {}}}}}\n".format
    setting = ("high", "policy", "set", "new.yaml", "--enclave", "new")
    (world.folder / "new.yaml").write_text(ceiling("SECRET"))
    world.quick(*setting).expect(0)
    world.quick(*taking).expect(0)
    (world.folder / "new.yaml").write_text(ceiling("UNCLASSIFIED"))
    world.quick(*setting).expect(0)
    said = world.quick("high", "activate", "demo@3", "--enclave", "new", *JSON).expect(6)
    assert (said.error["code"], said.error["found"]) == ("marking-refused", "SECRET")


def test_a_medium_that_somebody_looked_at(running: World) -> None:
    policy(running, "inventory: strict\n")
    volumes = running.volumes("alpha-2")
    left = volumes[0] / "chunks/.DS_Store"
    left.write_bytes(b"x")
    for verb in ("verify", "plan", "import"):
        error = refused(running, 6, "high", verb, *volumes).error
        assert (error["code"], error["expected"]) == (
            "inventory-refused",
            "no leftovers: policy says inventory: strict",
        )
    assert entries(running)[-1] == "import-reject inventory-refused"
    left.unlink()
    running.quick("high", "import", *volumes, "--activate").expect(0)


def test_a_bundle_that_was_under_way_for_too_long(running: World, require_tool: Callable[[str], str]) -> None:
    policy(running, "staleness: {refuse_new_after_days: 30}\n")
    words = ("high", "import", *map(str, running.volumes("alpha-2")))
    error = refused(running, 6, *words, wrapper=(require_tool("faketime"), "+40 days")).error
    assert (error["code"], error["expected"]) == ("expired", "at most 30 days")
    assert error["found"].startswith("40 days (issued ")
    assert "ask the low side for a new bundle" in error["hint"]
    running.run(*words, wrapper=(require_tool("faketime"), "+20 days")).expect(0)


def test_knowledge_that_is_too_old_by_any_clock(held: World, require_tool: Callable[[str], str]) -> None:
    """Nothing new is activated, a roll back is; a clock that is set back helps nobody, a renewal does."""
    later = (require_tool("faketime"), "+40 days")
    policy(held, "staleness: {warn_after_days: 35, refuse_new_after_days: 30}\n")
    held.quick("high", "activate", "demo@2").expect(0)
    warnings = held.run("high", "status", *JSON, wrapper=later).expect(0).data["warnings"]
    assert "stale: the newest imported bundle is 40 days old" in warnings
    assert any(text.startswith("nothing new is activated: ") for text in warnings)
    held.run("high", "rollback", "--yes", wrapper=later).expect(0)
    for wrapper in (later, ()):
        error = refused(held, 6, "high", "activate", "demo@2", wrapper=wrapper).error
        assert (error["code"], error["expected"], error["found"]) == ("stale", "at most 30 days", "40 days")
        assert "`airlift low renew`" in error["hint"]
    made = held.run("low", "renew", "--output", "media", *KEY, *JSON, wrapper=later).expect(0)
    held.run("high", "import", *held.volumes(made.data["bundle"]), wrapper=later).expect(0)
    held.run("high", "activate", "demo@2", wrapper=later).expect(0)


def test_a_policy_that_somebody_changed_in_its_place(held: World) -> None:
    path = (held.folder / "enclave/policy.yaml").resolve()
    path.chmod(0o644)
    path.write_text(path.read_text() + "keep: 9\n")
    for words in (("activate", "demo@2"), ("rollback", "--to", "demo@2", "--yes")):
        error = refused(held, 3, "high", *words).error
        assert error["code"] == "ledger-inconsistent"
        assert error["message"].endswith("is not the policy that the ledger recorded")
    held.quick("high", "policy", "set", "policy.yaml").expect(0)
    held.quick("high", "activate", "demo@2").expect(0)


NEW = {
    "acceptance": "acceptance: [{name: t, command: ['true']}]",
    "activation": "activation: {before: [{name: t, command: ['true']}]}",
    "files": "files: [demo-1.yaml]",
    "revoked": "revoked: withdraw",
    "inventory": "inventory: strict",
    "relay": "relay: {beta: {ledger_key: keys/officer-ed.pub, ceiling: {level: UNCLASSIFIED}}}",
    "waivers": "waivers: [{what: code}]",
    "kind:guard": "floors: {'kind:guard': '1'}",
    "refuse_behind": "staleness: {refuse_behind: 3}",
}
"""What format 2 of the policy added, each with a policy that has it."""


@pytest.mark.parametrize("key", NEW)
def test_what_is_new_in_format_2_is_unknown_in_format_1(world: World, key: str) -> None:
    words = ("high", "policy", "set", "new.yaml", "--dry-run")
    (world.folder / "new.yaml").write_text(f"{POLICY}{NEW[key]}\n")
    error = refused(world, 2, *words).error
    assert (error["code"], error["message"]) == (
        "manifest-invalid",
        f"policy: unknown key {key!r} in format 1",
    )
    assert "`airlift: 2`" in error["hint"]
    (world.folder / "new.yaml").write_text(f"{POLICY.replace('airlift: 1', 'airlift: 2')}{NEW[key]}\n")
    world.quick(*words).expect(0)


def sub(key: str = "officer-ed", level: str = "SECRET") -> str:
    return f"{{ledger_key: keys/{key}.pub, ceiling: {{level: {level}}}}}"


@pytest.mark.parametrize(
    ("relay", "code"),
    [
        (f"alpha: {sub()}", 2),
        (f"any: {sub()}", 2),
        (f"beta: {sub(level='COSMIC')}", 2),
        (f"beta: {sub()}, gamma: {sub()}", 2),
        (f"beta: {sub('officer-nobody')}", 7),
        (f"beta: {sub()}, gamma: {sub('officer-flo')}", 0),
    ],
    ids=["itself", "any", "no level", "two of one key file", "no key file", "two"],
)
def test_what_is_a_sub_enclave_and_what_is_none(world: World, relay: str, code: int) -> None:
    text = POLICY.replace("airlift: 1", "airlift: 2")
    (world.folder / "new.yaml").write_text(f"{text}relay: {{{relay}}}\n")
    said = world.quick("high", "policy", "set", "new.yaml", "--dry-run", *JSON).expect(code)
    assert said.document["ok"] == (code == 0)


def second_key(world: World, name: str) -> Path:
    """Make a key in another folder, which is named as one that is there but for upper case."""
    world.quick("keys", "generate", name.upper(), "--out", "second", "--no-passphrase").expect(0)
    return world.folder / "second" / f"{name.upper()}.pub"


@pytest.mark.parametrize("role", ["root", "release"])
def test_nobody_signs_for_two_in_a_new_depot(world: World, role: str) -> None:
    first, other = ("root-ada", "root-bo") if role == "root" else ("release-cy", "release-di")
    beside = "release" if role == "root" else "root"
    sole = ("release-cy",) if role == "root" else ("root-ada",)
    again = second_key(world, first)
    roles = (f"--{beside}-key", f"keys/{sole[0]}.key", f"--{beside}-threshold", "1", "--depot", "new")
    words = ("low", "init", f"--{role}-key", f"keys/{first}.key", "--bundler-key", "keys/bundler.key", *roles)
    error = refused(world, 2, *words, f"--{role}-key", again, f"--{role}-threshold", "2").error
    assert (error["code"], error["expected"]) == ("usage", "one key a person")
    assert error["message"].endswith("has 2 keys of a role for which 2 people must sign")
    assert len(error["found"].split(", ")) == 2
    assert not (world.folder / "new").exists()
    world.quick(*words, f"--{role}-key", f"keys/{other}.key", f"--{role}-threshold", "2").expect(0)


@pytest.mark.parametrize(("role", "first"), [("root", "root-ada"), ("release", "release-cy")])
def test_nobody_comes_to_sign_for_two(world: World, role: str, first: str) -> None:
    again = second_key(world, first)
    words = ("low", "rotate", role, "--key", "keys/root-ada.key", "--key", "keys/root-bo.key", "--add")
    before = world.quick("low", "status", *JSON).expect(0).data
    error = refused(world, 2, *words, again).error
    assert (error["code"], error["expected"]) == ("usage", "one key a person")
    assert len(error["found"].split(", ")) == 2
    after = world.quick("low", "status", *JSON).expect(0).data
    assert (after["roles"], after["pending"]) == (before["roles"], before["pending"])
    world.quick(*words, "keys/officer-ed.pub", *JSON).expect(0)


def test_levels_that_a_policy_turns_around(world: World) -> None:
    """What is above for everybody else is not below here; levels of one's own stand where one likes."""
    levels = "airlift: 1\nenclave: alpha\nmarking: {{levels: [{}], ceiling: {{level: SECRET}}}}\n".format
    words = ("high", "policy", "set", "new.yaml")
    known = entries(world)
    (world.folder / "new.yaml").write_text(levels("SECRET, UNCLASSIFIED"))
    error = refused(world, 2, *words).error
    assert (error["code"], error["expected"], error["found"]) == (
        "manifest-invalid",
        "UNCLASSIFIED < CUI < CONFIDENTIAL < SECRET < TOP SECRET",
        "SECRET < UNCLASSIFIED",
    )
    assert entries(world) == known
    (world.folder / "new.yaml").write_text(levels("UNCLASSIFIED, COSMIC, SECRET"))
    world.quick(*words).expect(0)
    assert entries(world) == [*known, "policy"]


def test_what_policy_would_not_let_run_is_not_served(held: World) -> None:
    words = ("high", "export", "demo@1", "--layout", "tree", "--output", "served")
    held.quick("high", "activate", "demo@2").expect(0)
    policy(held, BY_VERSION["coupling"][0])
    known = entries(held)
    error = refused(held, 6, *words).error
    assert [error["code"], error["expected"], error["found"]] == list(BY_VERSION["coupling"][1:])
    assert not (held.folder / "served").exists()
    assert entries(held) == known
    policy(held)
    held.quick(*words).expect(0)
    assert (held.folder / "served/guard/rules.txt").read_text().startswith("rules of 1")
