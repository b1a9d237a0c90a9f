"""The export: what write puts down, read takes back, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airlift import strict
from airlift.errors import AirliftError, ExistsError, FormatTooNewError, MalformedError, UncheckedError
from airlift.ledger import export
from airlift.trust.keys.file import FileSigner, generate
from tests.support.ledgers import ORIGIN, make_log, opened


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FileSigner]:
    folder = tmp_path_factory.mktemp("export")
    signer = make_log(folder / "ledger.db", 3)
    with opened(folder / "ledger.db", writable=True) as log:
        log.countersign("airlift/alpha/witness", generate("ecdsa-p384"))
        export.write(log, folder / "ledger.jsonl")
    return folder, signer


def test_an_export_reads_back(made: tuple[Path, FileSigner]) -> None:
    folder, signer = made
    found = export.read(folder / "ledger.jsonl")
    assert found.header == export.Header(ORIGIN, signer.public, 3, 4)
    with opened(folder / "ledger.db") as log:
        assert found.entries == tuple(log.entries())
        assert found.checkpoints == tuple(log.checkpoints())
    again = b"".join(export.lines(found.header, found.entries, found.checkpoints))
    assert again == (folder / "ledger.jsonl").read_bytes()


def test_an_export_is_lines_of_json(made: tuple[Path, FileSigner]) -> None:
    lines = (made[0] / "ledger.jsonl").read_bytes().split(b"\n")
    assert len(lines) == 1 + 3 + 4 + 1 + 1
    assert lines.pop() == b""
    for line in lines:
        assert strict.format(json.loads(line)) == line


def test_nothing_is_overwritten(made: tuple[Path, FileSigner], tmp_path: Path) -> None:
    with opened(made[0] / "ledger.db") as log:
        with pytest.raises(ExistsError):
            export.write(log, made[0] / "ledger.jsonl")
        (tmp_path / "link").symlink_to("nowhere")
        with pytest.raises(ExistsError):
            export.write(log, tmp_path / "link")


def test_a_missing_export_is_not_bad(tmp_path: Path) -> None:
    with pytest.raises(UncheckedError) as caught:
        export.read(tmp_path / "missing")
    assert caught.value.exit_code == 7


def lines_of(made: tuple[Path, FileSigner]) -> list[bytes]:
    return (made[0] / "ledger.jsonl").read_bytes().splitlines(keepends=True)


def header(change: dict[str, Any]) -> Callable[[list[bytes]], None]:
    def apply(lines: list[bytes]) -> None:
        lines[0] = strict.format({**json.loads(lines[0]), **change}) + b"\n"

    return apply


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines.clear(),
        lambda lines: lines.pop(),
        lambda lines: lines.pop(2),
        lambda lines: lines.append(lines[-1]),
        lambda lines: lines.insert(2, b"\n"),
        lambda lines: lines.__setitem__(-1, lines[-1].rstrip(b"\n")),
        lambda lines: lines.__setitem__(-1, b'{"digest":"00"}\n'),
        lambda lines: lines.__setitem__(1, b" " * (export.MAX_LINE_BYTES + 1) + b"\n"),
        lambda lines: lines.__setitem__(slice(1, 3), [lines[2], lines[1]]),
        lambda lines: lines.__setitem__(4, b'{"checkpoint":"text"}\n'),
        header({"type": "other"}),
        header({"airlift": 0}),
        header({"entries": -1}),
        header({"entries": 2}),
        header({"checkpoints": export.MAX_ENTRIES + 1}),
        header({"origin": "beta"}),
        header({"public_key": "x"}),
        header({"more": 1}),
    ],
)
def test_malformed_exports(made: tuple[Path, FileSigner], change: Callable[[list[bytes]], None]) -> None:
    lines = lines_of(made)
    change(lines)
    with pytest.raises(MalformedError):
        export.parse(iter(lines))


def test_a_key_in_another_spelling(made: tuple[Path, FileSigner]) -> None:
    lines = lines_of(made)
    pem = json.loads(lines[0])["public_key"]
    header({"public_key": "\n" + pem})(lines)
    with pytest.raises(MalformedError):
        export.parse(iter(lines))


def test_a_later_format_is_not_called_bad(made: tuple[Path, FileSigner]) -> None:
    lines = lines_of(made)
    header({"airlift": 2, "new": []})(lines)
    with pytest.raises(FormatTooNewError):
        export.parse(iter(lines))


def test_every_flipped_byte_is_found(made: tuple[Path, FileSigner]) -> None:
    data = (made[0] / "ledger.jsonl").read_bytes()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << (place % 8)
        with pytest.raises(AirliftError):
            export.parse(iter(bytes(changed).splitlines(keepends=True)))
