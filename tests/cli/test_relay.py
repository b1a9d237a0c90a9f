"""A hub hands on original volumes, through the real commands: each rule is broken (exit 6) and satisfied."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import POLICY, World, pack
from tests.cli.test_refusals import entries, flip, refused
from tests.cli.transcript import Transcript

JSON = ("--format", "json")
KEY = ("--bundler-key", "keys/bundler.key")
SIGN = ("--key", "keys/release-cy.key", "--key", "keys/release-di.key")


@dataclass(frozen=True)
class Hub:
    """The world whose enclave alpha hands on to beta, which is an enclave of its own in ``beta/``."""

    world: World

    def relay(self, *words: str | Path, code: int = 0) -> Transcript:
        """Hand on to beta, or keep."""
        command = ("high", "relay", *words)
        return refused(self.world, code, *command) if code else self.world.quick(*command, *JSON).expect(0)

    def to(self, output: str, *words: str | Path, code: int = 0) -> Transcript:
        """Hand on to beta, into a folder; a failure leaves nothing there, and no entry."""
        before = entries(self.world)
        said = self.relay(*words, "--to", "beta", "--output", output, code=code)
        if code:
            assert not (self.world.folder / output).exists()
            assert entries(self.world) == before
        return said

    def beta(self, *words: str | Path, code: int = 0) -> Transcript:
        """Run a command in the sub-enclave."""
        return self.world.quick("high", *words, "--enclave", "beta", *JSON).expect(code)

    def handed(self, output: str) -> list[Path]:
        """Return the volumes that were handed on."""
        return sorted((self.world.folder / output).iterdir())

    def policy(self, ceiling: str, own: str = "SECRET") -> None:
        """Put a policy in force in the hub: its own ceiling, and beta's."""
        text = POLICY.replace("airlift: 1", "airlift: 2").replace(
            "ceiling: {level: UNCLASSIFIED}", f"ceiling: {{level: {own}}}"
        )
        text += f"relay: {{beta: {{ledger_key: keys/beta.pub, ceiling: {{level: {ceiling}}}}}}}\n"
        (self.world.folder / "policy.yaml").write_text(text)
        self.world.quick("high", "policy", "set", "policy.yaml").expect(0)


def picture(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def hub(running: World) -> Hub:
    running.quick("keys", "generate", "beta", "--out", "keys", "--no-passphrase").expect(0)
    (running.folder / "beta.yaml").write_text(
        POLICY.replace("enclave: alpha", "enclave: beta").replace("level: UNCLASSIFIED}", "level: SECRET}")
    )
    running.quick(
        *("high", "init", "--enclave", "beta", "--root", "depot/root.json", "--yes", "--name", "beta"),
        *("--ledger-key", "keys/beta.key", "--policy", "beta.yaml"),
    ).expect(0)
    found = Hub(running)
    found.policy("UNCLASSIFIED")
    return found


def test_what_is_handed_on_is_the_original_and_the_sub_enclave_needs_no_hub(hub: Hub) -> None:
    pack(hub.world, "1", "--for", "beta", "--volume-size", "2MB")
    originals = hub.world.volumes("beta-6")
    assert len(originals) > 1
    trial = hub.to("trial", *originals, "--dry-run")
    assert trial.data["dry_run"]
    assert not (hub.world.folder / "trial").exists()
    said = hub.to("out", *reversed(originals))
    assert "everything for it is handed on" in said.err
    (handed,) = said.data["handed"]
    assert (handed["bundle"], handed["target"], len(handed["volumes"])) == (
        "beta-6",
        "demo@1",
        len(originals),
    )
    assert [path.name for path in hub.handed("out")] == [path.name for path in originals]
    for one, other in zip(originals, hub.handed("out"), strict=True):
        assert picture(one) == picture(other)
    entry = hub.world.quick("provenance", "history", *JSON).expect(0).data["entries"][-1]
    assert (entry["type"], entry["bundle"], entry["detail"]) == (
        "relay",
        "beta-6",
        {
            "bundle_manifest": handed["manifest"],
            "to": "beta",
            "volume_names": [path.name for path in originals],
            "receipt": None,
        },
    )
    hub.world.quick("provenance", "verify").expect(0)
    shutil.rmtree(hub.world.folder / "enclave")
    assert hub.beta("import", *hub.handed("out"), "--activate").data["activated"]


def test_the_address(hub: Hub) -> None:
    said = hub.to("out", *hub.world.volumes("alpha-1"), code=6)
    assert (said.error["code"], said.error["expected"], said.error["found"]) == (
        "wrong-enclave", "beta, or any", "alpha",
    )  # fmt: skip
    assert said.data["refused"][0]["rule"] == "address"
    said = hub.relay(*hub.world.volumes("alpha-1"), "--store", code=6)
    assert said.error["code"] == "wrong-enclave"
    pack(hub.world, "1")
    assert hub.to("out", *hub.world.volumes("any-6")).data["handed"][0]["bundle"] == "any-6"
    hub.to("more", *hub.world.volumes("beta-3"))
    given = hub.world.volumes("beta-3")
    said = refused(hub.world, 6, "high", "relay", *given, "--to", "gamma", "--output", "none")
    assert (said.error["code"], said.error["expected"], said.error["found"]) == ("refused", "beta", "gamma")


def test_the_marking(hub: Hub) -> None:
    pack(hub.world, "3", "--for", "beta")
    volumes = hub.world.volumes("beta-6")
    said = hub.to("out", *volumes, code=6)
    assert (said.error["code"], said.error["expected"], said.error["found"]) == (
        "marking-refused", "UNCLASSIFIED", "SECRET",
    )  # fmt: skip
    assert said.error["message"] == "the marking is above the ceiling (of beta)"
    assert [item["rule"] for item in said.data["refused"]] == ["marking"]
    hub.policy("SECRET", own="UNCLASSIFIED")
    said = hub.to("out", *volumes, code=6)
    assert said.error["message"] == "the marking is above the ceiling (of alpha)"
    hub.policy("SECRET")
    hub.to("out", *volumes)
    hub.beta("import", *hub.handed("out"))


def test_a_receipt_says_what_is_lacking(hub: Hub) -> None:
    pack(hub.world, "2", "--for", "beta", "--from", "demo@1")
    for bundle in ("beta-3", "beta-6"):
        hub.relay(*hub.world.volumes(bundle), "--store")
    hub.to("first", *hub.world.volumes("beta-3"))
    hub.beta("import", *hub.handed("first"), "--activate")
    hub.beta("receipt", "--output", "beta.json")
    said = hub.to("second", "--receipt", "beta.json")
    assert ([item["bundle"] for item in said.data["handed"]], said.data["held"]) == (["beta-6"], ["beta-3"])
    assert said.data["receipt"]
    hub.beta("import", *hub.handed("second"), "--activate")
    hub.beta("receipt", "--output", "newer.json")
    said = hub.to("third", "--receipt", "newer.json")
    assert (said.data["handed"], said.data["held"]) == ([], ["beta-6", "beta-3"])
    assert not (hub.world.folder / "third").exists()
    said = hub.to("all")
    assert [item["bundle"] for item in said.data["handed"]] == ["beta-6", "beta-3"]

    hub.world.quick("high", "receipt", "--output", "alpha.json").expect(0)
    for name in ("alpha.json", "flipped.json"):
        path = hub.world.folder / "flipped.json"
        shutil.copy(hub.world.folder / "beta.json", path)
        path.chmod(0o644)
        flip(path)
        assert hub.to("none", "--receipt", name, code=3).error["exit"] == 3
    assert hub.to("none", "--receipt", "alpha.json", code=3).error["code"] == "signature-invalid"


def test_damage_and_what_is_missing(hub: Hub) -> None:
    pack(hub.world, "1", "--for", "beta", "--volume-size", "2MB")
    one, *rest = hub.world.volumes("beta-6")
    assert hub.to("out", one, code=4).data["missing"]
    chunk = next((rest[0] / "chunks").iterdir())
    good = chunk.read_bytes()
    flip(chunk)
    for words in ((), ("--dry-run",)):
        assert hub.to("out", one, *rest, *words, code=3).error["code"] == "digest-mismatch"
    assert hub.relay(one, *rest, "--store", code=3).error["code"] == "digest-mismatch"
    assert list((hub.world.folder / "enclave/relay").iterdir()) == []
    chunk.unlink()
    assert hub.to("out", one, *rest, code=4).error["code"] == "volumes-missing"
    chunk.write_bytes(good)
    hub.to("out", one, *rest)


def test_what_is_kept_is_whole_shown_verified_anew_and_dropped(hub: Hub) -> None:
    volumes = hub.world.volumes("beta-3")
    assert not hub.relay(*volumes, "--store", "--dry-run").data["already"]
    assert not hub.relay(*volumes, "--store").data["already"]
    assert hub.relay(*volumes, "--store").data["already"]
    status = hub.world.quick("high", "status", *JSON).expect(0).data
    (kept,) = status["relay"]
    assert (kept["bundle"], kept["target"], kept["volumes"]) == ("beta-3", "demo@1", len(volumes))
    assert "kept to be handed on: beta-3" in hub.world.quick("high", "status").expect(0).out
    shutil.rmtree(hub.world.folder / "media")
    assert len(hub.to("out").data["handed"]) == 1
    flip(next((hub.world.folder / "enclave/relay").glob("*/*/chunks/*")))
    assert hub.to("none", code=3).error["code"] == "digest-mismatch"
    leftover = hub.world.folder / "enclave/relay/.tmp-0123"
    leftover.mkdir()
    hub.policy("UNCLASSIFIED")  # whatever changes something: recovery comes first
    assert not leftover.exists()
    hub.world.quick("high", "relay", "--drop", "beta-3").expect(2)
    assert hub.world.quick("high", "relay", "--drop", "beta-3", "--yes", *JSON).expect(0).data["bytes"]
    assert hub.world.quick("high", "status", *JSON).expect(0).data["relay"] == []
    assert refused(hub.world, 5, "high", "relay", "--drop", "beta-3", "--yes").error["exit"] == 5
    assert hub.to("nothing").data["handed"] == []


def test_what_was_revoked_or_withdrawn_is_not_handed_on(hub: Hub) -> None:
    pack(hub.world, "2", "--for", "beta")
    for bundle in ("beta-3", "beta-6"):
        hub.relay(*hub.world.volumes(bundle), "--store")
    hub.world.quick("low", "withdraw", "beta-6", *KEY).expect(0)
    hub.world.quick("low", "revoke", "demo@1", "--reason", "r", "--with-pending", *SIGN).expect(0)
    assert hub.to("before").data["refused"] == []
    hub.world.quick("low", "renew", "--output", "renewal", *KEY).expect(0)
    renewal = next((hub.world.folder / "renewal").iterdir())
    hub.relay(renewal, "--store")
    said = hub.to("out")
    assert [item["target"] for item in said.data["handed"]] == [None]
    assert sorted((item["bundle"], item["rule"], item["code"]) for item in said.data["refused"]) == [
        ("beta-3", "revocation", "revoked"),
        ("beta-6", "outstanding", "overtaken"),
    ]
    hub.beta("import", *hub.handed("out"))
    hub.world.quick("high", "import", renewal).expect(0)
    said = hub.to("none", *hub.world.volumes("beta-3"), code=6)
    assert said.error["code"] == "revoked"
    said = hub.to("none", *hub.world.volumes("beta-6"), code=6)
    assert (said.error["code"], said.data["refused"][0]["rule"]) == ("overtaken", "outstanding")


def test_options_that_say_nothing_or_two_things(hub: Hub) -> None:
    volume = hub.world.volumes("beta-3")[0]
    wrong: tuple[tuple[str | Path, ...], ...] = (
        (),
        (volume,),
        ("--to", "beta"),
        ("--output", "out"),
        ("--receipt", "beta.json"),
        ("--store",),
        (volume, "--store", "--to", "beta", "--output", "out"),
        (volume, "--drop", "beta-3"),
        ("--store", "--drop", "beta-3"),
    )
    for words in wrong:
        assert refused(hub.world, 2, "high", "relay", *words).error["code"] == "usage"


def test_the_same_again_goes_on_where_it_ended(hub: Hub) -> None:
    """A run that was killed between two renames leaves whole volumes, and said in the record that it would."""
    pack(hub.world, "1", "--for", "beta", "--volume-size", "2MB")
    originals = hub.world.volumes("beta-6")
    hub.to("out", *originals)
    wanted = picture(hub.world.folder / "out")
    shutil.rmtree(hub.handed("out")[0])
    size = len(entries(hub.world))
    again = hub.to("out", *originals)
    assert (len(again.data["handed"][0]["volumes"]), entries(hub.world)[size:]) == (len(originals), ["relay"])
    assert picture(hub.world.folder / "out") == wanted


@pytest.mark.parametrize("part", ["chunks", "manifests", "more", "all"])
def test_what_has_a_volumes_name_and_is_another_is_left_alone(hub: Hub, part: str) -> None:
    (volume,) = hub.world.volumes("beta-3")
    hub.to("out", volume)
    (standing,) = hub.handed("out")
    if part == "more":
        (standing / "chunks/more").write_bytes(b"x")
    elif part == "all":
        shutil.rmtree(standing)
        standing.symlink_to(volume)
    else:
        flip(next((standing / part).iterdir()))
    before, size = picture(standing), len(entries(hub.world))
    for words in ((), ("--dry-run",)) if part in {"manifests", "all"} else ((),):
        error = refused(
            hub.world, 2, "high", "relay", volume, "--to", "beta", "--output", "out", *words
        ).error
        assert (error["code"], error["hint"]) == ("exists", "choose another --output")
    assert (picture(standing), len(entries(hub.world))) == (before, size)
