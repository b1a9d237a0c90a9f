"""Foreign JSON within bounds: what goes beyond them is unclear, and nothing else happens."""

import json

import pytest

from airlift.intake.gate.drift import documents
from airlift.intake.gate.drift.documents import UnclearError
from airlift.intake.gate.views import Held


def test_what_libraries_write_is_read() -> None:
    said = {"a": [1, 2.5, None, True, "é"], "b": {"c": -1}}
    assert documents.load(Held(json.dumps(said, indent=2).encode())) == said


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"a": 1, "a": 2}', "a key stands twice"),
        (b'{"a": [{"b": 1, "b": 1}]}', "a key stands twice"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"", "not JSON"),
        (b"{} {}", "not JSON"),
    ],
)
def test_what_is_hostile_is_unclear(data: bytes, why: str) -> None:
    with pytest.raises(UnclearError, match=why):
        documents.load(Held(data))


def test_bounds_are_checked_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, data in (("MAX_PARTS", b"[[],[],[]]"), ("MAX_VALUES", b"[1,2,3,4]"), ("MAX_BYTES", b"[12345]")):
        assert documents.load(Held(data))
        with monkeypatch.context() as bounds:
            bounds.setattr(documents, name, 2)
            bounds.setattr(json, "loads", None)
            with pytest.raises(UnclearError, match=r"too many parts|more than 2 bytes"):
                documents.load(Held(data))
