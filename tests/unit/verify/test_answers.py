"""Answers and receipts that the standalone verifier checks alone, and what an attacker makes of them."""

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airlift import strict, verify
from airlift.cli.main import main
from airlift.high.activation.change_policy import change_policy
from airlift.high.enclave.enclave import Enclave
from airlift.high.governance.approve import approve
from airlift.ledger import entry_proof as proofs
from airlift.trust.statements import dsse
from tests.support import keys
from tests.support.enclaves import enclave, operator, switch_to, take

pytestmark = pytest.mark.usefixtures("quick_disk")

QUESTIONS = (
    ("show", "assistant@2"),
    ("trace", "guard@2.1"),
    ("trace", "assistant@2"),
    ("at", "2026-11-21T12:00:00Z"),
    ("during", "guard"),
    ("where", "machine"),
    ("history",),
    ("history", "--component", "base", "--limit", "3"),
    ("verify",),
)


class Case:
    """An enclave with a past, and its answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place: Enclave = enclave("two", folder)
        keys.write(folder / "policy", "issm")
        text = "airlift: 1\nenclave: alpha\nattestations: {approval: {threshold: 1, keys: [issm.pub]}}\n"
        (folder / "policy" / "policy.yaml").write_text(text)
        change_policy(self.place, folder / "policy" / "policy.yaml", operator=operator())
        for name in ("assistant@2", "assistant@1"):
            approve(self.place, name, signer=keys.signer("issm"), operator=operator())
        switch_to(self.place, "assistant@1")
        approve(self.place, "assistant@2", signer=keys.signer("issm"), operator=operator(), reject=True)
        (folder / "ledger.pub").write_bytes(keys.signer("ledger").public.pem())

    def ask(self, *words: str | Path) -> dict[str, Any]:
        path = self.folder / "asked.json"
        with path.open("w") as out:
            done = subprocess.run(
                [sys.executable, "-m", "airlift", "provenance", *map(str, words), "--prove", "--format", "json",
                 "--enclave", str(self.place.folder)],
                stdout=out, stderr=subprocess.PIPE, check=False,
            )  # fmt: skip
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(path.read_text())
        return answer

    def judge(self, document: Any, *more: str | Path) -> int:
        path = self.folder / "judged.json"
        path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        return verify.main([str(path), "--public-key", str(self.folder / "ledger.pub"), *map(str, more)])


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("answers"))


@pytest.fixture(scope="module")
def answers(case: Case) -> dict[tuple[str, ...], dict[str, Any]]:
    return {words: case.ask(*words) for words in QUESTIONS}


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
def test_every_answer_is_proven(case: Case, answers: Any, words: tuple[str, ...]) -> None:
    assert case.judge(answers[words]) == 0


def test_what_it_says_to_people(case: Case, answers: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert case.judge(answers["trace", "guard@2.1"]) == 0
    out = capsys.readouterr().out
    assert "this is      an answer" in out
    assert "not proven   that nothing was left out" in out


def test_a_proof_in_a_table_is_refused(case: Case) -> None:
    words = ["provenance", "history", "--prove", "--enclave", str(case.place.folder)]
    assert main(words) == 2


def test_what_was_said_against_a_release_is_proven(case: Case, answers: Any) -> None:
    answer = answers["trace", "assistant@2"]
    (node,) = answer["data"]["nodes"]
    said = [n["relation"] for n in node["parents"] if n["kind"] == "attestation" and n["name"] == "approval"]
    assert said == ["attested-by", "disputed-by"]
    place = next(p for p, v in walk(answer["data"]["nodes"]) if v == "disputed-by")
    assert case.judge(put(answer, ("data", "nodes", *place), "attested-by")) == 3


# -- lies ----------------------------------------------------------------------------------------------------------


def walk(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield every scalar inside a value with its path."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from walk(item, (*path, key))
    if not isinstance(value, dict | list):
        yield path, value


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(document)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


def test_half_a_surrogate_pair_is_no_json(
    case: Case, answers: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Broke: it ended in a traceback, found by fuzzing."""
    changed = put(answers["history",], ("data", "entries", 0, "actor"), "\ud800")
    assert case.judge(changed) == 3
    assert "is not JSON" in capsys.readouterr().err


QUESTION_ITSELF = {("data", "time"), ("data", "component")}


@pytest.mark.parametrize("words", QUESTIONS[:-1], ids=" ".join)
def test_no_word_of_an_answer_can_be_changed(case: Case, answers: Any, words: tuple[str, ...]) -> None:
    """Every string outside the proof, one after the other, becomes another string that stands in the proof."""
    answer = answers[words]
    texts = sorted(
        {v for p, v in walk(answer["data"]) if isinstance(v, str) and p[0] != "proof" and len(v) < 200}
    )
    places = [p for p, v in walk(answer) if isinstance(v, str) and p[0] == "data" and p[1] != "proof"]
    for number, path in enumerate(places[::7] if len(places) > 400 else places):
        if path[:2] in QUESTION_ITSELF:
            continue
        old = next(v for p, v in walk(answer) if p == path)
        true = {
            old,
            *(v for p, v in walk(answer) if p[:-2] == path[:-2] and p[-1] == path[-1]),
        }  # of a node beside it
        other = next(text for text in (*texts[number % len(texts) :], *texts, "x") if text not in true)
        if path[-1] == "relation" and len(path) == 4:
            other = "part-of"  # of a subject
        assert case.judge(put(answer, path, other)) == 3, (path, old, other)


def test_an_approval_cannot_be_moved_to_another_release(case: Case, answers: Any) -> None:
    answer = copy.deepcopy(answers["trace", "assistant@2"])
    (node,) = answer["data"]["nodes"]
    approval = next(n for n in node["parents"] if n["kind"] == "attestation" and n["name"] == "approval")
    (component, *_) = [n for n in node["parents"] if n["kind"] == "component"]
    component["parents"].append(approval)
    assert case.judge(answer) == 3


@pytest.mark.parametrize(
    "lie",
    [
        lambda d: d["data"]["proof"]["entries"].pop(),
        lambda d: d["data"]["proof"]["entries"][0].update(index=99),
        lambda d: d["data"]["proof"]["entries"][0].update(path=[]),
        lambda d: d["data"]["proof"]["entries"][0]["path"].append("AAAA"),
        lambda d: d["data"]["proof"]["entries"][0]["path"].extend(["AAAA"] * 70),
        lambda d: d["data"]["proof"]["entries"][0].update(path=["-"]),
        lambda d: d["data"]["proof"]["entries"][0].update(path=[1]),
        lambda d: d["data"]["proof"]["entries"][0].update(leaf="{}"),
        lambda d: d["data"]["proof"]["entries"].append(7),
        lambda d: d["data"]["proof"].update(origin="airlift/bravo"),
        lambda d: d["data"]["proof"].pop("documents"),
        lambda d: d["data"]["proof"]["documents"].append("e30="),
        lambda d: d["data"]["proof"]["documents"].append("bm8="),
        lambda d: d["data"]["proof"]["documents"].clear(),
        lambda d: d["data"]["nodes"].append({**d["data"]["node"], "name": "other"}),
        lambda d: d["data"].update(approved="by everybody"),
        lambda d: d["data"]["nodes"][0].update(kind=[]),
        lambda d: d["data"]["nodes"][0].update(parents=7),
    ],
)
def test_a_proof_that_was_tampered_with(case: Case, answers: Any, lie: Callable[[Any], Any]) -> None:
    answer = copy.deepcopy(answers["trace", "guard@2.1"])
    lie(answer)
    assert case.judge(answer) == 3


def test_a_period_that_was_stretched_or_refilled(case: Case, answers: Any) -> None:
    answer = answers["during", "guard"]
    first, second, third = (copy.deepcopy(answer) for _ in range(3))
    first["data"]["periods"][0]["until"] = None
    second["data"]["periods"][0]["components"].pop()
    third["data"]["periods"][0]["since"] = answer["data"]["periods"][1]["since"]
    assert [case.judge(item) for item in (second, third)] == [3, 3]
    # that a period ended is completeness: an answer may leave the end out, and says so
    assert case.judge(first) == 0


def test_a_key_twice_is_refused(case: Case, answers: Any) -> None:
    text = json.dumps(answers["history",])
    assert case.judge(text.replace('"ok": true', '"ok": true, "ok": true').encode()) == 3
    assert case.judge(b'{"command": 1}') == 7


# -- kept checkpoints ----------------------------------------------------------------------------------------------


def test_a_consistency_proof_joins_a_kept_checkpoint(tmp_path: Path) -> None:
    case = Case(tmp_path)
    old = tmp_path / "old.note"
    with case.place.ledger() as log:
        old.write_bytes(log.checkpoint())
    before = case.ask("history")
    assert case.judge(before, "--checkpoint", old) == 0
    take(case.place, "next")
    after = case.ask("verify", "--checkpoint", old)
    assert case.judge(after, "--checkpoint", old) == 0
    assert case.judge(case.ask("history"), "--checkpoint", old) == 7  # nothing in it joins the two
    lies: tuple[Callable[[Any], Any], ...] = (
        lambda d: d["data"]["proof"]["consistency"][0].update(path=[]),
        lambda d: d["data"]["proof"]["consistency"][0]["path"].extend(["AAAA"] * 2),
        lambda d: d["data"]["proof"]["consistency"][0].update(checkpoint=d["data"]["proof"]["checkpoint"]),
        lambda d: d["data"]["proof"].update(checkpoint=old.read_text()),
    )
    for lie in lies:
        changed = copy.deepcopy(after)
        lie(changed)
        assert case.judge(changed, "--checkpoint", old) == 3
    (tmp_path / "answer.json").write_text(json.dumps(before))
    assert case.judge(after, "--checkpoint", tmp_path / "answer.json") == 0


def test_a_forked_history_shows_at_the_same_size(tmp_path: Path) -> None:
    """THREATS, against the record: two histories signed with the real key, told apart by a kept checkpoint."""
    case = Case(tmp_path)
    shutil.copytree(case.place.folder, tmp_path / "fork", symlinks=True)
    take(case.place, "next")
    case_answer = case.ask("history")
    with case.place.ledger() as log:
        (tmp_path / "kept.note").write_bytes(log.checkpoint())
        size = log.size
    shutil.rmtree(case.place.folder)
    shutil.move(tmp_path / "fork", case.place.folder)
    while case.place.state().size < size:
        approve(case.place, "assistant@1", signer=keys.signer("issm"), operator=operator())
    assert case.judge(case_answer, "--checkpoint", tmp_path / "kept.note") == 0
    assert case.judge(case.ask("history"), "--checkpoint", tmp_path / "kept.note") == 3


# -- receipts and single proofs ------------------------------------------------------------------------------------


def receipt_of(case: Case) -> bytes:
    path = case.folder / "receipt.json"
    path.unlink(missing_ok=True)
    words = ["high", "receipt", "--output", str(path), "--enclave", str(case.place.folder), "--quiet"]
    assert main(words) == 0
    return path.read_bytes()


def test_a_receipt(case: Case, answers: Any) -> None:
    data = receipt_of(case)
    assert case.judge(data) == 0
    (case.folder / "kept.json").write_bytes(data)
    assert case.judge(answers["history",], "--checkpoint", case.folder / "kept.json") == 0
    envelope = dsse.parse(data, limit=1 << 20)
    forged = dsse.sign(envelope.payload_type, envelope.payload, keys.signer("stranger"))
    assert case.judge(dsse.format(forged)) == 3
    document = json.loads(envelope.payload)
    for change in ({"ledger": {"size": 1, "root": "0"}}, {"enclave": "bravo"}, {"type": "request"}):
        payload = strict.format({**document, **change})
        assert case.judge(dsse.format(dsse.sign(envelope.payload_type, payload, keys.signer("ledger")))) == 3
    for stated, code in (({"airlift": 2, "metadata": 99}, 0), ({"airlift": 3}, 7), ({"airlift": 0}, 3)):
        payload = strict.format({**document, **stated})
        signed = dsse.sign(envelope.payload_type, payload, keys.signer("ledger"))
        assert case.judge(dsse.format(signed)) == code
    assert case.judge(dsse.format(dsse.sign("text/plain", envelope.payload, keys.signer("ledger")))) == 7


def test_a_proof_of_one_entry(case: Case) -> None:
    with case.place.ledger() as log:
        data = proofs.format(log.prove(2))
    assert case.judge(data) == 0
    assert case.judge(data.replace(b"index 2", b"index 3")) == 3
    assert case.judge(data.replace(b"extra ", b"other ")) == 3
    lines = data.split(b"\n")
    assert case.judge(b"\n".join([*lines[:3], *lines[4:]])) == 3


def test_a_witness_is_demanded(case: Case, answers: Any) -> None:
    keys.write(case.folder, "auditor")
    assert case.judge(answers["history",], "--witness", case.folder / "auditor.pub") == 3


ALONE = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"


def test_it_needs_nothing_of_airlift(case: Case, answers: Any, tmp_path: Path) -> None:
    shutil.copy(verify.__file__, tmp_path / "verify.py")
    for number, answer in enumerate((answers["trace", "guard@2.1"], answers["at", "2026-11-21T12:00:00Z"])):
        path = tmp_path / f"answer-{number}.json"
        path.write_text(json.dumps(answer))
        words: list[str | Path] = [sys.executable, "-I", "-c", ALONE, tmp_path / "verify.py", path]
        done = subprocess.run(
            [*words, "--public-key", case.folder / "ledger.pub"],
            capture_output=True,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 0, done.stderr
