"""The standalone verifier: proofs, lies, and a life without airlift."""

import base64
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlift import strict, verify
from airlift.ledger import audit, checkpoint, entry, export, log, tree
from airlift.ledger.checkpoint import Checkpoint
from airlift.trust.keys.file import FileSigner, generate
from airlift.trust.keys.public import SCHEMES, PublicKey
from tests.support.ledgers import ORIGIN, draft, make_log, opened


class Case:
    """An exported ledger of five entries, its key, its checkpoints, a witness."""

    def __init__(self, folder: Path, scheme: str) -> None:
        self.folder = folder
        self.signer = make_log(folder / "ledger.db", 5, generate(scheme))
        self.witness = generate("ecdsa-p384")
        with opened(folder / "ledger.db", writable=True) as writer:
            writer.countersign("airlift/alpha/witness", self.witness)
            export.write(writer, folder / "ledger.jsonl")
            self.checkpoints = list(writer.checkpoints())
            self.audit = audit.verify_log(writer)
        self.data = (folder / "ledger.jsonl").read_bytes()
        (folder / "ledger.pub").write_bytes(self.signer.public.pem())
        (folder / "witness.pub").write_bytes(self.witness.public.pem())

    def arguments(self, name: str = "ledger.jsonl", *more: str | Path) -> list[str]:
        return [str(self.folder / name), "--public-key", str(self.folder / "ledger.pub"), *map(str, more)]

    def run(self, data: bytes, *more: str | Path) -> int:
        (self.folder / "changed.jsonl").write_bytes(data)
        return verify.main(self.arguments("changed.jsonl", *more))

    def kept(self, number: int) -> Path:
        path = self.folder / f"kept-{number}.txt"
        path.write_bytes(self.checkpoints[number])
        return path


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("verify"), "ecdsa-p384")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_agrees_with_airlift(scheme: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = Case(tmp_path, scheme)
    more: list[str | Path] = [
        "--checkpoint",
        case.kept(2),
        "--checkpoint",
        case.kept(5),
        "--witness",
        tmp_path / "witness.pub",
    ]
    assert verify.main(case.arguments("ledger.jsonl", *more, "--origin", ORIGIN, "--format", "json")) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {
        "airlift": 1,
        "command": "airlift-verify",
        "ok": True,
        "data": {
            "ok": True,
            "origin": ORIGIN,
            "size": 5,
            "root": case.audit.root.hex(),
            "checkpoints": 6,
            "kept": 2,
            "witnesses": {str(tmp_path / "witness.pub"): 1},
            "kind": "export",
            "facts": {},
        },
    }


def test_what_it_says_to_people(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(case.arguments()) == 0
    out = capsys.readouterr().out
    assert f"ledger       {ORIGIN}\n" in out
    assert "entries      5, every one recomputed\n" in out
    assert base64.b64encode(case.audit.root).decode() in out
    assert "none given: a history signed anew with a stolen key would not show" in out
    assert verify.main(case.arguments("ledger.jsonl", "--checkpoint", case.kept(1))) == 0
    assert "1 older checkpoints cover prefixes" in capsys.readouterr().out


def test_an_empty_ledger_verifies(tmp_path: Path) -> None:
    signer = generate("ecdsa-p384")
    log.create(tmp_path / "ledger.db", ORIGIN, signer)
    with opened(tmp_path / "ledger.db") as reader:
        export.write(reader, tmp_path / "ledger.jsonl")
    (tmp_path / "ledger.pub").write_bytes(signer.public.pem())
    assert verify.main([str(tmp_path / "ledger.jsonl"), "--public-key", str(tmp_path / "ledger.pub")]) == 0


# -- alone ---------------------------------------------------------------------------------------------------------

ALONE = """
import runpy, sys
sys.path.append(sys.argv.pop(1))
try:
    import airlift
except ImportError:
    runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


def site_with(folder: Path, *names: str) -> Path:
    """Return a folder that offers these installed modules and nothing else."""
    folder.mkdir()
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (folder / source.name).symlink_to(source)
    return folder


def run_alone(site: Path, script: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", "-c", ALONE, str(site), str(script), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=site)


def test_it_runs_with_cryptography_alone(case: Case, tmp_path: Path) -> None:
    script = Path(shutil.copy(str(verify.__file__), tmp_path / "verify.py"))
    site = site_with(tmp_path / "site", "cryptography", "cffi", "_cffi_backend", "typing_extensions")
    done = run_alone(site, script, case.arguments("ledger.jsonl", "--checkpoint", case.kept(3)))
    assert (done.returncode, done.stderr) == (0, "")
    assert "every one recomputed" in done.stdout
    (tmp_path / "bad.jsonl").write_bytes(case.data.replace(b'"admin"', b'"nobody"', 1))
    done = run_alone(site, script, [str(tmp_path / "bad.jsonl"), *case.arguments()[1:], "--format", "json"])
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["code"] == "proven-bad"
    assert run_alone(site, script, []).returncode == 2


def test_without_cryptography_nothing_is_claimed(case: Case, tmp_path: Path) -> None:
    done = run_alone(site_with(tmp_path / "site"), Path(str(verify.__file__)), case.arguments())
    assert done.returncode == 7
    assert done.stderr.startswith("error: cannot verify without cryptography")


# -- could not check -----------------------------------------------------------------------------------------------


def test_what_cannot_be_read(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "weak.pub").write_bytes(WEAK.encode())
    (tmp_path / "text.pub").write_bytes(b"no key")
    good = case.arguments()
    for words in (
        [str(tmp_path / "missing"), *good[1:]],
        [str(tmp_path), *good[1:]],
        [good[0], "--public-key", str(tmp_path / "missing")],
        [good[0], "--public-key", str(tmp_path / "text.pub")],
        [good[0], "--public-key", str(tmp_path / "weak.pub")],
        [*good, "--checkpoint", str(tmp_path / "missing")],
    ):
        assert verify.main([*words, "--format", "json"]) == 7
        assert json.loads(capsys.readouterr().out)["error"]["code"] == "unreadable"


WEAK = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""


def test_usage() -> None:
    with pytest.raises(SystemExit) as caught:
        verify.main([])
    assert caught.value.code == 2


# -- against the record --------------------------------------------------------------------------------------------


def sealed(lines: list[bytes]) -> bytes:
    """Return an export with these lines and a last line that fits them."""
    body = b"".join(line + b"\n" for line in lines)
    return body + strict.format({"digest": hashlib.sha384(body).hexdigest()}) + b"\n"


def lines_of(case: Case) -> list[bytes]:
    return case.data.split(b"\n")[:-2]


def with_header(lines: list[bytes], **change: Any) -> list[bytes]:
    return [strict.format({**json.loads(lines[0]), **change}), *lines[1:]]


def test_sealing_is_what_export_does(case: Case) -> None:
    assert sealed(lines_of(case)) == case.data


def swap(lines: list[bytes], one: int, two: int) -> list[bytes]:
    lines[one], lines[two] = lines[two], lines[one]
    return lines


def renumbered(line: bytes, index: int) -> bytes:
    return strict.format({**json.loads(line), "index": index})


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda x: [*x[:2], x[2].replace(b"admin", b"nobody"), *x[3:]], id="edited"),
        pytest.param(lambda x: [*x[:2], *x[3:]], id="deleted"),
        pytest.param(lambda x: with_header([*x[:5], *x[6:]], entries=4), id="deleted last"),
        pytest.param(lambda x: swap(x, 1, 2), id="reordered"),
        pytest.param(
            lambda x: [x[0], renumbered(x[2], 0), renumbered(x[1], 1), *x[3:]], id="reordered and renumbered"
        ),
        pytest.param(
            lambda x: with_header([*x[:6], entry.format(draft(9).at(5)), *x[6:]], entries=6), id="inserted"
        ),
        pytest.param(lambda x: with_header(x[:-1], checkpoints=5), id="newest checkpoint removed"),
        pytest.param(lambda x: with_header(x[:6], checkpoints=0), id="all checkpoints removed"),
        pytest.param(lambda x: swap(x, 7, 8), id="checkpoints reordered"),
        pytest.param(lambda x: [*x[:8], x[7], *x[9:]], id="checkpoint twice"),
        pytest.param(lambda x: with_header(x, origin="airlift/beta"), id="another origin"),
        pytest.param(lambda x: with_header(x, origin="beta"), id="no origin"),
        pytest.param(lambda x: with_header(x, type="other"), id="no ledger"),
        pytest.param(lambda x: with_header(x, more=1), id="unknown key"),
        pytest.param(lambda x: with_header(x, entries=-1), id="negative"),
        pytest.param(lambda x: with_header(x, entries="5"), id="no number"),
        pytest.param(lambda x: with_header(x, checkpoints=10_000_001), id="too many"),
        pytest.param(lambda x: with_header(x, airlift=0), id="no format"),
        pytest.param(lambda x: [*x[:1], x[1].replace(b'"actor"', b'"bctor"'), *x[2:]], id="wrong key"),
        pytest.param(lambda x: [*x[:1], x[1].replace(b"2026-", b"2026_"), *x[2:]], id="no time"),
        pytest.param(lambda x: [*x[:1], b'{"a":1,"a":1}', *x[2:]], id="duplicate key"),
        pytest.param(lambda x: [*x[:1], b'{"a":1.0}', *x[2:]], id="float"),
        pytest.param(lambda x: [*x[:1], b'{"a":NaN}', *x[2:]], id="not a number"),
        pytest.param(lambda x: [*x[:1], b'{"a":9007199254740992}', *x[2:]], id="huge integer"),
        pytest.param(lambda x: [*x[:1], b"[" * 100_000, *x[2:]], id="deep"),
        pytest.param(lambda x: [*x[:1], b"[]", *x[2:]], id="no object"),
        pytest.param(lambda x: [*x[:1], b'{"a":"\\ud800"}', *x[2:]], id="lone surrogate"),
        pytest.param(lambda x: [*x[:1], b" " * (2 << 20), *x[2:]], id="long line"),
        pytest.param(lambda x: [*x[:1], b"\xff", *x[2:]], id="no UTF-8"),
    ],
)
def test_every_change_is_found(case: Case, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """THREATS, against the record: an entry edited, deleted, reordered, inserted; the last line made to fit."""
    assert case.run(sealed(change(lines_of(case)))) == 3


def test_a_later_format_is_not_called_bad(case: Case) -> None:
    assert case.run(sealed(with_header(lines_of(case), airlift=2))) == 7


@pytest.mark.parametrize("tail", [b"", b"{}\n", b"x", None])
def test_the_end_is_the_end(case: Case, tail: bytes | None) -> None:
    """THREATS, against the record: a truncated or continued export."""
    assert case.run(case.data[:-5] if tail is None else case.data + tail) == (0 if tail == b"" else 3)


def test_another_key(case: Case, tmp_path: Path) -> None:
    (tmp_path / "other.pub").write_bytes(generate("ecdsa-p384").public.pem())
    assert verify.main([case.arguments()[0], "--public-key", str(tmp_path / "other.pub")]) == 3
    assert verify.main(case.arguments("ledger.jsonl", "--origin", "airlift/beta")) == 3


def test_a_witness_that_signed_nothing(case: Case, tmp_path: Path) -> None:
    (tmp_path / "other.pub").write_bytes(generate("ecdsa-p384").public.pem())
    assert verify.main(case.arguments("ledger.jsonl", "--witness", tmp_path / "other.pub")) == 3


def exported(folder: Path, signer: FileSigner, count: int, actor: str, origin: str = ORIGIN) -> Path:
    """Export another ledger of the same key."""
    log.create(folder / "other.db", origin, signer)
    with log.open_log(folder / "other.db", origin, writable=True) as writer:
        writer.append_all([draft(number, actor=actor) for number in range(count)], signer)
        export.write(writer, folder / "other.jsonl")
    return folder / "other.jsonl"


def test_a_ledger_signed_anew_with_a_stolen_key(case: Case, tmp_path: Path) -> None:
    """THREATS, against the record: a re-signed ledger is flawless, except against an older checkpoint."""
    forged = [str(exported(tmp_path, case.signer, 9, "nobody")), *case.arguments()[1:]]
    assert verify.main(forged) == 0
    assert verify.main([*forged, "--checkpoint", str(case.kept(0))]) == 0
    for number in range(1, 6):
        assert verify.main([*forged, "--checkpoint", str(case.kept(number))]) == 3


def test_a_ledger_restored_from_yesterday(case: Case, tmp_path: Path) -> None:
    """THREATS, against the record: a ledger restored from yesterday, caught against a newer checkpoint."""
    old = [str(exported(tmp_path, case.signer, 3, "admin")), *case.arguments()[1:]]
    assert verify.main([*old, "--checkpoint", str(case.kept(3))]) == 0
    assert verify.main([*old, "--checkpoint", str(case.kept(4))]) == 3


def test_a_checkpoint_for_another_log(case: Case, tmp_path: Path) -> None:
    """THREATS, against the record: a kept checkpoint of another log, or of no known key, or none at all."""
    root = tree.leaf_digest(b"x")
    for signed in (
        checkpoint.sign(Checkpoint("airlift/beta", 1, root), case.signer),
        checkpoint.sign(Checkpoint(ORIGIN, 1, root), generate("ecdsa-p384")),
        checkpoint.sign(Checkpoint(ORIGIN, 1, root), case.signer),
        case.checkpoints[1][:-1],
        case.checkpoints[1].replace(b"\n1\n", b"\n01\n"),
        case.checkpoints[1].replace(b"\n1\n", b"\n1\n\n"),
        case.checkpoints[1].replace("—".encode(), b"-"),
        b"x" * (300 * 1024),
        b"",
    ):
        (tmp_path / "kept.txt").write_bytes(signed)
        assert verify.main(case.arguments("ledger.jsonl", "--checkpoint", tmp_path / "kept.txt")) == 3


def test_a_forged_signature_line(case: Case, tmp_path: Path) -> None:
    """A second line of the ledger's key that does not verify spoils a note; a signature alone is not enough."""
    good = case.checkpoints[2].decode()
    (name, value), *_ = (line.split(" ")[1:] for line in good.splitlines() if line.startswith("— airlift/"))
    forged = base64.b64encode(base64.b64decode(value)[:4] + b"forged").decode()
    many = "".join(f"— name{n} AAAAAAA=\n" for n in range(40))
    for number, text in enumerate((good + f"— {name} {forged}\n", good + many, good.replace(value, "AAAA"))):
        path = tmp_path / f"kept-{number}.txt"
        path.write_text(text)
        assert verify.main(case.arguments("ledger.jsonl", "--checkpoint", path)) == 3


def test_every_flipped_bit_is_found(case: Case) -> None:
    """THREATS, against the record: a bit flip anywhere in the export never passes, in unchecked lines neither."""
    for place in range(0, len(case.data), 5):
        changed = bytearray(case.data)
        changed[place] ^= 1 << (place % 7)
        assert case.run(bytes(changed)) in {3, 7}


@given(st.data())
def test_no_cut_or_exchange_passes(case: Case, data: st.DataObject) -> None:
    size = len(case.data)
    start = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(start + 1, size))
    changed = case.data[:start] + data.draw(st.binary(max_size=20)) + case.data[end:]
    assert case.run(changed) in ({0} if changed == case.data else {3, 7})


def test_the_key_types_it_accepts_are_airlifts(case: Case) -> None:
    for scheme in SCHEMES:
        public = generate(scheme).public
        assert verify.load_key(public.pem(), "key").spki == PublicKey.from_pem(public.pem()).spki
