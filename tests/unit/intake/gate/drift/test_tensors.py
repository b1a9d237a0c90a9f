import pytest

from airlift.intake.gate.drift import tensors as reading
from airlift.intake.gate.drift.tensors import read_index, read_weights
from airlift.intake.gate.stated import Index, Unclear, Weights
from airlift.intake.gate.views import Held
from tests.support.drifting import index, tensors
from tests.support.weights import safetensors


def test_weights_state_their_tensors() -> None:
    data = safetensors({"a": ("F32", (3, 2), bytes(24)), "scale": ("F32", (), bytes(4))})
    assert read_weights(Held(data)) == Weights({"a": 3, "scale": 0}, 28, len(data))


def test_damaged_weights_state_nothing() -> None:
    """They are refused by their header elsewhere."""
    good = tensors({"a": 4})
    for data in (b"", b"\0" * 7, good[:-1], good + b"\0", b"\xff" * 8 + good[8:], good[:8] + b"[" + good[9:]):
        assert read_weights(Held(data)) is None


def test_an_index_states_where_tensors_are() -> None:
    files = {"a": "m-1.safetensors", "b": "M-2.SafeTensors"}
    assert read_index(Held(index(files, total_size=12))) == Index(files, 12)


@pytest.mark.parametrize("total", [None, 12.0, "12", True, [12]])
def test_only_a_whole_number_is_a_total(total: object) -> None:
    found = read_index(Held(index({"a": "m.safetensors"}, total_size=total)))
    assert found == Index({"a": "m.safetensors"}, None)


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b'{"weight_map": ["m.safetensors"]}',
        b'{"weight_map": {"a": 1}}',
        b'{"weight_map": {"a": "m.safetensors"}, "weight_map": {}}',
        index({"a": "m.safetensors", "b": "m.bin"}),
    ],
)
def test_other_indices_state_nothing(data: bytes) -> None:
    assert read_index(Held(data)) is None


def test_an_index_of_too_many_tensors_is_unclear(monkeypatch: pytest.MonkeyPatch) -> None:
    data = index({"a": "m.safetensors", "b": "m.safetensors"})
    monkeypatch.setattr(reading, "MAX_LISTED", 1)
    found = read_index(Held(data))
    assert isinstance(found, Unclear)
    assert found.why == "it lists more than 1 tensors"
