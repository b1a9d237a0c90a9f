"""The golden vectors of the parity code, in every kernel: what was ever coded comes back for ever (SPEC 6.9)."""

import json
from typing import Any

import pytest

from airlift import erasure
from airlift.erasure import kernel
from airlift.errors import AirliftError
from tests.vectors.make_erasure import FOLDER, documents

GOOD: list[dict[str, Any]] = json.loads((FOLDER / "good.json").read_text(encoding="utf-8"))
BAD: list[dict[str, Any]] = json.loads((FOLDER / "bad.json").read_text(encoding="utf-8"))


def name(case: dict[str, Any]) -> str:
    return str(case["name"])


@pytest.fixture(params=kernel.names())
def using(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "default", lambda: kernel.get(request.param))


@pytest.mark.usefixtures("using")
@pytest.mark.parametrize("case", GOOD, ids=name)
def test_a_stripe_is_coded_as_recorded(case: dict[str, Any]) -> None:
    data = [bytes.fromhex(member) for member in case["data"]]
    assert [member.hex() for member in erasure.encode(data, len(case["parity"]))] == case["parity"]


@pytest.mark.usefixtures("using")
@pytest.mark.parametrize("case", GOOD, ids=name)
def test_what_is_lost_comes_back_as_recorded(case: dict[str, Any]) -> None:
    every = [bytes.fromhex(member) for member in case["data"] + case["parity"]]
    present = {number: every[number] for number in case["present"]}
    shape, length = (len(case["data"]), len(case["parity"])), max(map(len, every))
    found = erasure.reconstruct(present, *shape, [int(number) for number in case["wanted"]], length)
    assert {str(number): member.hex() for number, member in found.items()} == case["wanted"]


@pytest.mark.usefixtures("using")
@pytest.mark.parametrize("case", BAD, ids=name)
def test_what_was_refused_stays_refused(case: dict[str, Any]) -> None:
    present = {int(number): bytes.fromhex(member) for number, member in case["present"].items()}
    with pytest.raises(AirliftError) as caught:
        erasure.reconstruct(present, case["data"], case["parity"], case["wanted"], case["length"])
    assert caught.value.code == case["error"]


def test_the_generator_writes_these_files() -> None:
    assert {file: (FOLDER / file).read_text(encoding="utf-8") for file in documents()} == documents()
