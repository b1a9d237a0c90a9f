"""Questions, attestations and documents through the real command, as people see them."""

import json

import pytest

from tests.cli.conftest import World

POLICY = """\
airlift: 1
enclave: alpha
attestations:
  scan: {threshold: 1, keys: [keys/release-cy.pub]}
  approval: {threshold: 1, keys: [keys/officer-ed.pub]}
"""


def ask(world: World, *words: str) -> str:
    return world.quick("provenance", *words).expect(0).out


def test_questions_in_tables(running: World) -> None:
    assert "demo@1" in ask(running, "at", "2100-01-01")
    assert "guard" in ask(running, "during", "guard@1")
    assert "no release with it" not in ask(running, "during", "guard")
    told = ask(running, "where", "bundler")
    assert "bundles that came in" in told
    assert "guard@1" in told
    assert "import-commit" in ask(running, "history", "--type", "import-commit")
    newest = running.quick("provenance", "history", "--limit", "1").expect(0)
    assert "there are more before these" in newest.err
    assert "everything is new" in ask(running, "changes", "demo@1")
    running.quick("high", "import", *running.volumes("alpha-2")).expect(0)
    changed = ask(running, "changes", "demo@2", "--tensors")
    assert "guard/rules.txt" in changed
    assert "0 of 0 tensors" in changed
    for words in (
        ("at", "then"),
        ("during", "nothing"),
        ("changes", "demo@9"),
        ("history", "--until", "never"),
    ):
        assert running.quick("provenance", *words).code in {2, 5}


def test_a_release_that_was_never_active(world: World) -> None:
    world.quick("high", "import", *world.volumes("alpha-1")).expect(0)
    assert "no release with it was ever active" in ask(world, "during", "guard")


def test_attest_and_approve(running: World) -> None:
    (running.folder / "policy.yaml").write_text(POLICY)
    running.quick("high", "policy", "set", "policy.yaml").expect(0)
    running.quick("high", "rollback", "--to", "demo@1", "--yes")
    claim = running.folder / "scan.json"
    claim.write_text('{"verdict": "pass"}')
    words = (
        "low",
        "attest",
        "demo@1",
        "--type",
        "scan",
        "--predicate",
        claim,
        "--key",
        "keys/release-cy.key",
    )
    running.quick(*words, "--dry-run").expect(0)
    made = running.quick(*words, "--format", "json").expect(0).data
    assert {"kind": "scan", "passes": True, "already": False}.items() <= made.items()
    claim.write_text('{"verdict": "fail"}')
    assert "counts towards no quorum" in running.quick(*words).expect(0).err
    for wrong in (
        words[:-2],
        (*words, "--key", "keys/officer-ed.key"),
        ("low", "attest", "demo@1", "--type", "scan"),
    ):
        running.quick(*wrong).expect(2)
    running.quick(*words[:3], "--import", "scan.json", "--type", "scan").expect(2)
    envelope = running.folder / "depot/documents" / f"{made['attestation'][:64]}.json"
    running.quick("low", "attest", "demo@1", "--import", envelope).expect(0)

    assert running.quick("high", "activate", "demo@1").code == 6
    told = running.quick("high", "attest", envelope).expect(0).out
    assert "demo@1" in told
    assert "release-cy" in told
    approval = running.quick(
        "high", "approve", "demo@1", "--key", "keys/officer-ed.key", "--reason", "board", "--format", "json"
    )
    assert {"approver": "officer-ed", "approvals": 1, "threshold": 1}.items() <= approval.expect(
        0
    ).data.items()
    running.quick("high", "activate", "demo@1").expect(0)
    assert "approved-by: key officer-ed" in ask(running, "trace", "demo@1")
    running.quick("high", "approve", "demo@1", "--key", "keys/officer-flo.key").expect(6)
    running.quick("high", "attest", claim).expect(3)


def test_receipts_witnesses_and_copies(running: World) -> None:
    shown = running.quick("high", "receipt").expect(0).out
    assert '"payloadType":"application/vnd.airlift.receipt+json"' in shown
    assert "UNCLASSIFIED" in shown
    running.quick("high", "receipt", "--output", "receipt.json").expect(0)
    running.quick("high", "receipt", "--output", "receipt.json").expect(2)
    first = running.quick(
        "provenance", "witness", "--key", "keys/officer-ed.key", "--output", "w.note"
    ).expect(0)
    assert "the first checkpoint that the witness signs" in first.err
    running.quick("provenance", "witness", "--key", "keys/ledger.key").expect(2)
    for verb, output in (("checkpoint", "kept.note"), ("backup", "copy.db")):
        running.quick("provenance", verb, "--output", output).expect(0)
        running.quick("provenance", verb, "--output", output).expect(2)
    kept = [word for name in ("receipt.json", "w.note", "kept.note") for word in ("--checkpoint", name)]
    assert running.quick("provenance", "verify", *kept, "--format", "json").expect(0).data["kept"] == 3
    (running.folder / "odd.note").write_text("odd")
    running.quick("provenance", "verify", "--checkpoint", "odd.note").expect(3)


@pytest.mark.parametrize("kind", ["cyclonedx", "spdx", "oscal", "intoto"])
def test_documents(running: World, kind: str) -> None:
    running.quick("provenance", "export", "--as", kind, "--output", "out.json").expect(0)
    assert (running.folder / "out.json").stat().st_size > 500
    running.quick("provenance", "export", "--as", kind, "--output", "out.json").expect(2)
    if kind in {"cyclonedx", "spdx"}:
        words = ("provenance", "export", "--as", kind, "--output", "other.json", "--release")
        running.quick(*words, "demo@9").expect(5)
    else:
        words = ("provenance", "export", "--as", kind, "--output", "other.json", "--release")
        running.quick(*words, "demo@1").expect(2)
    if kind != "oscal":
        running.quick(*words[:-1], "--controls", "own.yaml").expect(2)
    assert not (running.folder / "other.json").exists()


def test_witnesses_are_those_whose_keys_are_given(running: World) -> None:
    running.quick("provenance", "witness", "--key", "keys/officer-ed.key", "--name", "ed").expect(0)

    def state(name: str, *words: str) -> object:
        running.quick("provenance", "export", "--as", "oscal", "--output", name, *words).expect(0)
        result = json.loads((running.folder / name).read_text())["assessment-results"]["results"][0]
        (told,) = (o["description"] for o in result["observations"] if o["title"] == "witness")
        (found,) = (f for f in result["findings"] if f["target"]["target-id"] == "au-9_obj")
        return found["target"]["status"]["state"], told

    known = ("--witness", "keys/officer-ed.pub")
    assert state("with.json", *known) == ("satisfied", "newest checkpoint countersigned by ed")
    assert state("without.json") == (
        "not-satisfied",
        "newest checkpoint countersigned by nobody whose key was given; it also bears the name ed, not verified",
    )
    page = running.quick("provenance", "report", "--output", "r.html", *known).expect(0)
    assert "No witness" not in (running.folder / "r.html").read_text(), page.err
    running.quick("provenance", "report", "--output", "s.html", "--witness", "keys/nobody.pub").expect(7)
    running.quick("provenance", "export", "--as", "ledger", "--output", "l.jsonl", *known).expect(2)


def test_the_report(running: World) -> None:
    (running.folder / "own.yaml").write_text("airlift: 1\n")
    running.quick("provenance", "report", "--output", "r.html", "--controls", "own.yaml").expect(2)
    data = running.quick("provenance", "report", "--output", "r.html", "--format", "json").expect(0).data
    assert (data["release"], data["bytes"]) == ("demo@1", (running.folder / "r.html").stat().st_size)


def test_a_proven_answer(running: World) -> None:
    running.quick("provenance", "history", "--prove").expect(2)
    said = running.quick("provenance", "history", "--prove", "--format", "json").expect(0)
    assert set(json.loads(said.out)["data"]["proof"]) == {
        "origin", "checkpoint", "entries", "documents", "consistency",
    }  # fmt: skip
