import json
from typing import Any

import pytest

from airlift.intake.gate.drift import tokens
from airlift.intake.gate.drift.tokens import MOST, read_configuration, read_tokenizer
from airlift.intake.gate.stated import Configuration, Tokenizer, Unclear
from airlift.intake.gate.views import Held
from tests.support.drifting import TOKENS, configuration, tokenizer, unigram, written


def read(data: bytes) -> Tokenizer:
    found = read_tokenizer(Held(data))
    assert isinstance(found, Tokenizer)
    return found


def test_a_tokenizer_states_its_ids() -> None:
    for data in (tokenizer(), unigram()):
        assert (read(data).tokens, read(data).highest) == (8, 7)
    more = read(tokenizer(added={"<pad>": 40, "<s>": 1}))
    assert (more.tokens, more.highest) == (9, 40)
    assert read(written({"vocab": {}})) == read(written({"vocab": []}))
    assert read(written({"vocab": {}})).highest == -1


def test_the_digest_is_that_of_tokens_and_ids() -> None:
    """Order, spacing, merges, scores and what else a tokenizer has do not count; every id does."""
    assert read(tokenizer()).digest == read(unigram()).digest
    assert read(tokenizer()).digest == read(json.dumps(json.loads(tokenizer()), indent=3).encode()).digest
    reordered = {token: TOKENS.index(token) for token in reversed(TOKENS)}
    assert read(tokenizer()).digest == read(written({"vocab": reordered})).digest
    for other in (
        tokenizer(TOKENS[:-1]),
        tokenizer([*TOKENS[:-2], TOKENS[-1], TOKENS[-2]]),
        tokenizer(added={"<pad>": 8}),
        tokenizer(added={"<s>": 0}),
    ):
        assert read(other).digest != read(tokenizer()).digest


@pytest.mark.parametrize(
    "data", [b"{}", b"[1]", b"null", b'{"model": 1}', b'{"model": {"vocab": 3}}', b'{"vocab_size": 256}']
)
def test_other_files_of_that_name_state_nothing(data: bytes) -> None:
    assert read_tokenizer(Held(data)) is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        *((written({"vocab": {"a": bad}}), "token 'a' is no number") for bad in (-1, 1.0, 2**32, True, None, "1")),
        *((written({"vocab": {}}, [{"content": "x", "id": bad}]), "'x' is no number") for bad in (-7, 0.5, 10**30)),
        (written({"vocab": {}}, [{"content": "x"}]), "'x' is no number"),
        (written({"vocab": {}}, [{"id": 3}]), "has no content"),
        (written({"vocab": {}}, ["x"]), "has no content"),
        (written({"vocab": {}}, {"x": 1}), "are no list"),
        (written({"vocab": [["a", -1.0], "b"]}), "stands at 1 of its vocabulary"),
        (written({"vocab": [["a"]]}), "stands at 0 of its vocabulary"),
        (written({"vocab": [[1, -1.0]]}), "stands at 0 of its vocabulary"),
        (b'{"model": {"vocab": {"a": 1, "a": 2}}}', "a key stands twice"),
        (b'{"model": {"vocab": {"a": 1e999}}}', "token 'a' is no number"),
        (b"\x80", "not JSON"),
        (b'{"model":' * 100_000, "nested too deeply"),
    ],
)  # fmt: skip
def test_hostile_tokenizers_are_unclear(data: bytes, why: str) -> None:
    """THREATS, content: ids that are negative, fractional or huge; a token that stands twice."""
    found = read_tokenizer(Held(data))
    assert isinstance(found, Unclear)
    assert why in found.why


def test_what_is_shown_of_a_token_is_short_and_plain() -> None:
    found = read_tokenizer(Held(written({"vocab": {"\u202e\x1b[2J" + "x" * 10_000: -1}})))
    assert isinstance(found, Unclear)
    assert len(found.why) < 120
    assert found.why.isascii()
    assert found.why.isprintable()


def test_a_tokenizer_of_too_many_tokens_is_unclear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_TOKENS", 7)
    for data in (tokenizer(), unigram()):
        assert read_tokenizer(Held(data)) == Unclear("it has more than 7 tokens")


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({}, Configuration(None, ())),
        ({"vocab_size": 8, "pad_token_id": None}, Configuration(8, ())),
        ({"vocab_size": 8, "bos_token_id": 1, "eos_token_id": [2, 3]},
         Configuration(8, (("bos_token_id", 1), ("eos_token_id", 2), ("eos_token_id", 3)))),
        ({"vocab_size": -1, "pad_token_id": -1}, Configuration(None, ())),
        ({"text_config": {"vocab_size": 9, "pad_token_id": 99}, "vision_config": {"vocab_size": 4}},
         Configuration(9, ())),
        ({"vocab_size": 8, "audio": [{"vocab_size": 12}]}, Configuration(12, ())),
        ({"text_config": {"vocab_size": "many"}}, Configuration(None, ())),
        ({"eos_token_id": MOST}, Configuration(None, (("eos_token_id", MOST),))),
    ],
)  # fmt: skip
def test_a_configuration_states_room_and_special_ids(stated: Any, expected: Configuration) -> None:
    assert read_configuration(Held(configuration(**stated))) == expected


@pytest.mark.parametrize(
    "stated",
    [
        {"vocab_size": 8.0},
        {"vocab_size": "8"},
        {"vocab_size": True},
        {"eos_token_id": 2.0},
        {"eos_token_id": -2},
        {"eos_token_id": [1, -3]},
        {"eos_token_id": {"id": 1}},
        {"eos_token_id": [[1]]},
        {"pad_token_id": False},
        {"bos_token_id": 10**40},
    ],
)
def test_configurations_that_state_no_ids_are_unclear(stated: Any) -> None:
    assert isinstance(read_configuration(Held(configuration(**stated))), Unclear)


def test_what_is_no_configuration_states_nothing() -> None:
    """That it is not JSON is told as what code it may name."""
    for data in (b"", b"\x80", b"[]", b"3", b'{"vocab_size": 1, "vocab_size": 2}'):
        assert read_configuration(Held(data)) is None
