"""What was written in format 1 still imports, reads and verifies: see frozen/README.md."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airlift import verify as verifier
from airlift.cli.frame.output import to_data
from airlift.errors import AirliftError, LedgerError
from airlift.high.enclave.check_content import check_content
from airlift.high.enclave.enclave import Enclave, Operator, open_enclave
from airlift.high.enclave.init import NewEnclave, init_enclave
from airlift.high.enclave.status import enclave_status
from airlift.high.governance.record_attestations import record_attestations
from airlift.high.importing.import_bundle import import_bundle
from airlift.high.record.verify_ledger import verify_exported_ledger, verify_ledger
from airlift.ledger import details
from airlift.ledger import entry as entries
from airlift.ledger.entries.kinds import DETAILS
from airlift.trust.keys.public import load_public
from tests.cli.transcript import inside
from tests.compat import freeze
from tests.support import keys
from tests.support.enclaves import flip

FOLDER = Path(__file__).parent / "frozen" / "format-1"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
NOW = datetime.fromisoformat(EXPECTED["now"])
ANSWERS = sorted(path.name for path in (FOLDER / "answers").iterdir())
WRITTEN = {
    "enroll", "import-prepare", "import-commit", "import-reject", "activate-prepare", "activate-commit",
    "rollback-prepare", "rollback-commit", "abort", "policy", "gc", "attestation",
}  # fmt: skip
"""The types of entry that commands of format 1 write."""


def contains(found: Any, expected: Any) -> bool:
    """Say whether an answer says all that it said when it was frozen; keys may have been added."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            key in found and contains(found[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(contains, found, expected))
    return bool(found == expected)


# -- bundles -------------------------------------------------------------------------------------------------------


def volumes(name: str, folder: Path) -> list[Path]:
    """Return copies of a bundle's volumes, with the empty folder that git does not keep."""
    copies = []
    for path in sorted((FOLDER / "bundles" / name).iterdir()):
        copy = folder / name / path.name
        if not copy.exists():
            shutil.copytree(path, copy)
            (copy / "chunks").mkdir(exist_ok=True)
        copies.append(copy)
    return copies


def fresh(folder: Path) -> Enclave:
    """Return a new enclave that pins the frozen root."""
    root, policy = FOLDER / "root.json", FOLDER / "policy.yaml"
    new = NewEnclave(EXPECTED["enclave"], root, EXPECTED["fingerprint"], "ledger.key", policy)
    init_enclave(folder, new, operator=operator(0))
    return open_enclave(folder)


def operator(minutes: int) -> Operator:
    """Return who runs a command, so long after the bundles were begun."""
    return Operator("frozen", keys.signer("ledger"), NOW + timedelta(minutes=minutes))


def take(place: Enclave, step: dict[str, Any], media: Path) -> tuple[str, Any]:
    """Import a bundle as a step says; return the outcome and the answer."""
    try:
        result = import_bundle(
            place,
            volumes(step["bundle"], media),
            operator=operator(step["minutes"]),
            activate=step["activate"],
        )
    except AirliftError as error:
        return error.code, {}
    return "ok", to_data(result)


def test_every_bundle_is_imported_with_the_same_outcome(tmp_path: Path) -> None:
    place = fresh(tmp_path / "enclave")
    for step in EXPECTED["steps"]:
        outcome, result = take(place, step, tmp_path / "media")
        assert (step["bundle"], outcome) == (step["bundle"], step["outcome"])
        assert contains(result, step["result"]), step["bundle"]
        assert enclave_status(place, NOW).active == step["active"]
    for label, tree in EXPECTED["trees"].items():
        release = place.find_release(label, place.state())
        top = place.release_path(release.digest)
        found = {str(p.relative_to(top)) for p in top.rglob("*") if p.is_file()}
        assert found == set(tree)
        assert {f"{c.name}/{f.path}": f.sha512 for c, f in release.files()} == tree
    assert (
        check_content(place).damaged == ()
    )  # every file of every release has the digest that was just compared
    (taken,) = record_attestations(place, [FOLDER / "custody.json"], operator=operator(90)).attestations
    assert (taken.kind, taken.signers) == ("custody", ("scanner",))
    assert verify_ledger(place, public_key=keys.signer("ledger").public).ok


def test_a_changed_byte_of_a_frozen_bundle_is_found(tmp_path: Path) -> None:
    place = fresh(tmp_path / "enclave")
    (first, *others) = volumes("1-full", tmp_path / "media")
    flip(max((first / "chunks").iterdir(), key=lambda path: path.stat().st_size), 1000)
    with pytest.raises(AirliftError, match="is damaged"):
        import_bundle(place, [first, *others], operator=operator(30))


def test_all_codecs_are_there() -> None:
    assert set(EXPECTED["codecs"]) == freeze.CODECS - {"convert"}  # newer than these files


# -- the ledger ----------------------------------------------------------------------------------------------------


@pytest.fixture
def enclave(tmp_path: Path) -> Enclave:
    """Return a copy of the frozen enclave, with the links that it had."""
    shutil.copytree(FOLDER / "enclave", tmp_path / "enclave")
    for name, target in EXPECTED["links"].items():
        (tmp_path / "enclave" / name).symlink_to(target)
    return open_enclave(tmp_path / "enclave")


def test_the_ledger_verifies_against_all_that_left_the_enclave(enclave: Enclave) -> None:
    kept = [FOLDER / name for name in ("kept.note", "newest.note", "receipt.json")]
    kept += [FOLDER / "answers" / name for name in ANSWERS]
    for result in (
        verify_ledger(enclave, public_key=load_public(FOLDER / "ledger.pub"), kept=kept),
        verify_exported_ledger(
            FOLDER / "ledger.jsonl", public_key=load_public(FOLDER / "ledger.pub"), kept=kept
        ),
    ):
        assert (result.size, result.root, result.kept) == (
            EXPECTED["ledger"]["size"],
            EXPECTED["ledger"]["root"],
            len(kept),
        )
    with pytest.raises(LedgerError, match="another key"):
        verify_ledger(enclave, public_key=load_public(FOLDER / "auditor.pub"))


def test_every_entry_is_read_and_written_back_identically(enclave: Enclave) -> None:
    with enclave.ledger() as log:
        found = list(log.entries())
    leaves = (FOLDER / "ledger.jsonl").read_bytes().splitlines()[1 : len(found) + 1]
    assert [entry.type for entry in found] == EXPECTED["ledger"]["types"]
    assert {entry.type for entry in found} == WRITTEN
    assert [entries.format(entry) for entry in found] == leaves
    assert [entries.parse(leaf) for leaf in leaves] == found
    for entry in found:
        said = details.read(entry, DETAILS[entry.type]).format()
        assert {key: said[key] for key in entry.detail} == entry.detail, entry.index
        assert {key: said[key] for key in set(said) - set(entry.detail)} in ({}, {"file_digest": "sha512"})


def test_the_entries_add_up_to_the_same_state(enclave: Enclave) -> None:
    state = enclave.state()
    assert contains(to_data(state), EXPECTED["ledger"]["state"] | {"enrolment": {}})
    assert EXPECTED["fingerprint"] in to_data(state)["enrolment"].values()


def test_status_is_what_it_was(enclave: Enclave) -> None:
    now = datetime.fromisoformat(EXPECTED["status"]["now"])
    assert contains(to_data(enclave_status(enclave, now)), EXPECTED["status"]["data"])


@pytest.mark.parametrize(("name", "words"), [*zip(ANSWERS, EXPECTED["questions"], strict=True)])
def test_answers_are_what_they_were(enclave: Enclave, name: str, words: list[str], tmp_path: Path) -> None:
    stored = json.loads((FOLDER / "answers" / name).read_text())["data"]
    asked = inside(
        "provenance", *words, "--enclave", enclave.folder, "--format", "json", cwd=tmp_path
    ).expect(0)
    assert contains(asked.data, {key: value for key, value in stored.items() if key != "proof"})


# -- the standalone verifier ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ledger.jsonl", "receipt.json", *(f"answers/{name}" for name in ANSWERS)])
def test_the_standalone_verifier_accepts(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(FOLDER / name), "--public-key", str(FOLDER / "ledger.pub")]
    words += ["--witness", str(FOLDER / "auditor.pub")]
    if name == "ledger.jsonl":
        words += ["--checkpoint", str(FOLDER / "kept.note")]
    assert verifier.main(words) == 0, capsys.readouterr()


@pytest.mark.parametrize("name", ["ledger.jsonl", "receipt.json", f"answers/{ANSWERS[0]}"])
def test_the_standalone_verifier_refuses_another_key(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert verifier.main([str(FOLDER / name), "--public-key", str(FOLDER / "auditor.pub")]) == 3
    capsys.readouterr()


def test_what_is_frozen_is_never_written_again() -> None:
    with pytest.raises(SystemExit, match="never written again"):
        freeze.freeze(FOLDER)
    assert json.loads((FOLDER / "expected.json").read_text()) == EXPECTED
