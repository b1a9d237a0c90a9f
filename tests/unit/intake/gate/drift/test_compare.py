"""Files of one component held against each other: what is drift, and what is not."""

from collections.abc import Mapping
from typing import Any

import pytest

from airlift.intake.gate.drift.compare import Compared, compare_facts, compare_tokenizers
from airlift.intake.gate.drift.facts import read_facts
from airlift.intake.gate.stated import Tokenizer
from airlift.intake.gate.verdict import DRIFT
from airlift.intake.gate.views import Held
from tests.support.drifting import TOKENS, configuration, embedded, index, tensors, tokenizer, unigram

ONE, TWO = "model-1.safetensors", "model-2.safetensors"
SHARDS = {ONE: tensors({"a": 2, "b": 3}), TWO: tensors({"c": 4})}
LISTED = {"a": ONE, "b": ONE, "c": TWO}
BYTES = 4 * 9


def compare(files: Mapping[str, bytes]) -> Compared:
    stated = {
        path: facts for path, data in files.items() if (facts := read_facts(path, Held(data))) is not None
    }
    found = compare_facts(stated)
    assert all(objection.what == DRIFT and objection.hint for objection in found.objections)
    return found


def indexed(files: Mapping[str, str], shards: Mapping[str, bytes] = SHARDS, **metadata: Any) -> Compared:
    return compare({"model.safetensors.index.json": index(files, **metadata), **shards})


# -- an index ------------------------------------------------------------------------------------------------------


def test_an_index_that_agrees() -> None:
    assert indexed(LISTED) == Compared()
    assert indexed(LISTED, total_size=BYTES) == Compared()


@pytest.mark.parametrize(
    ("listed", "counts", "found"),
    [
        (LISTED | {"d": TWO}, (1, 0), "'d' in 'model-2.safetensors', which is nowhere"),
        ({"a": ONE, "c": TWO}, (0, 1), "'b' in 'model-1.safetensors' is not listed"),
        (LISTED | {"a": TWO}, (1, 1), "'a' in 'model-2.safetensors', which is in 'model-1.safetensors'"),
    ],
)  # fmt: skip
def test_an_index_that_does_not_agree(listed: dict[str, str], counts: tuple[int, int], found: str) -> None:
    """THREATS, content: an index that lists other tensors than its files have."""
    (objection,) = indexed(listed).objections
    assert objection.path == "model.safetensors.index.json"
    missing, surplus = counts
    assert f"{missing} tensors that are not where it says, and not {surplus} that are" in objection.message
    assert objection.found == found


def test_a_tensor_in_two_files_is_in_one_too_many() -> None:
    (objection,) = indexed(LISTED, SHARDS | {TWO: tensors({"c": 4, "a": 2})}).objections
    assert objection.found == "'a' in 'model-2.safetensors' is not listed"


def test_files_that_no_index_names_do_not_count() -> None:
    assert indexed(LISTED, SHARDS | {"model.fp16.safetensors": tensors({"a": 2})}) == Compared()
    other = {f"sub/{ONE}": tensors({"z": 1})}
    assert indexed(LISTED, SHARDS | other) == Compared()


def test_an_index_without_its_files_is_told_elsewhere() -> None:
    assert indexed(LISTED, {ONE: SHARDS[ONE]}) == Compared()
    assert indexed(LISTED, SHARDS | {TWO: b"damaged"}) == Compared()
    assert compare({"pytorch_model.bin.index.json": index({"a": "m.bin"}), "m.bin": b""}) == Compared()


def test_totals_are_told_and_never_objected_to() -> None:
    """Tools write the bytes of the tensors, those of the files, fractions for truth values, or an older total."""
    sizes = sum(map(len, SHARDS.values()))
    for total in (BYTES, sizes, float(BYTES) / 2, None):
        assert indexed(LISTED, total_size=total) == Compared()
    found = indexed(LISTED, total_size=2 * BYTES)
    assert found.objections == ()
    assert found.told == (
        f"model.safetensors.index.json says that its tensors have {2 * BYTES} bytes, and they have {BYTES}",
    )


def test_names_of_tensors_are_shown_short_and_plain() -> None:
    (objection,) = indexed(LISTED | {"\x1b[2J" + "x" * 10_000: TWO}).objections
    assert len(objection.found) < 250
    assert objection.found.isascii()
    assert objection.found.isprintable()


# -- ids -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [tokenizer(), unigram()])
def test_a_tokenizer_fits_where_there_is_room(made: bytes) -> None:
    assert compare({"tokenizer.json": made}) == Compared()
    assert compare({"tokenizer.json": made, "model.safetensors": tensors({"a": 2})}) == Compared()
    for rows in (8, 64):
        assert compare({"tokenizer.json": made, "model.safetensors": embedded(rows)}) == Compared()
        assert compare({"tokenizer.json": made, "config.json": configuration(vocab_size=rows)}) == Compared()


@pytest.mark.parametrize(
    "name",
    [
        "embed_tokens.weight",
        "model.embed_tokens.weight",
        "transformer.wte.weight",
        "bert.embeddings.word_embeddings.weight",
        "gpt_neox.embed_in.weight",
        "shared.weight",
        "backbone.embeddings.weight",
    ],
)
def test_a_token_without_a_row_is_drift(name: str) -> None:
    """THREATS, content: a tokenizer with more tokens than its model."""
    (objection,) = compare({"tokenizer.json": tokenizer(), "model.safetensors": embedded(7, name)}).objections
    assert objection.path == "tokenizer.json"
    assert "no room" in objection.message
    assert objection.found == f"id 7, and 7 by the rows of {name!a}"


def test_an_added_token_without_a_row_is_drift() -> None:
    files = {"tokenizer.json": tokenizer(added={"<pad>": 8}), "model.safetensors": embedded(8)}
    (objection,) = compare(files).objections
    assert objection.found.startswith("id 8, and 8 ")


def test_rows_count_and_not_what_a_configuration_says() -> None:
    files = {"tokenizer.json": tokenizer(), "config.json": configuration(vocab_size=64)}
    assert compare(files) == Compared()
    assert len(compare({**files, "model.safetensors": embedded(4)}).objections) == 1
    small = {**files, "config.json": configuration(vocab_size=4)}
    assert compare({**small, "model.safetensors": embedded(8)}) == Compared()
    (objection,) = compare(small).objections
    assert objection.found == "id 7, and 4 by 'vocab_size' of config.json"


def test_rows_in_several_files_are_taken_together() -> None:
    """Files for each processor have some of the rows under one name."""
    files = {
        "tokenizer.json": tokenizer(),
        "rank-0.safetensors": embedded(4),
        "rank-1.safetensors": embedded(4),
    }
    assert compare(files) == Compared()
    assert len(compare({**files, "rank-1.safetensors": embedded(3)}).objections) == 1


def test_the_largest_embedding_counts() -> None:
    names = {"model.embed_tokens.weight": 8, "decoder.embed_tokens.weight": 2, "position.weight": 1}
    assert compare({"tokenizer.json": tokenizer(), "model.safetensors": tensors(names)}) == Compared()


def test_other_folders_are_other_models() -> None:
    files = {"tokenizer/tokenizer.json": tokenizer(), "encoder/model.safetensors": embedded(2)}
    assert compare(files) == Compared()


@pytest.mark.parametrize("key", ["bos_token_id", "eos_token_id", "pad_token_id"])
def test_special_ids_beyond_the_vocabulary_are_drift(key: str) -> None:
    """THREATS, content: a configuration whose special tokens the model does not know."""
    within: dict[str, Any] = {"vocab_size": 8, key: 7}
    assert compare({"config.json": configuration(**within)}) == Compared()
    for value in (8, [2, 8]):
        beyond = configuration(**within | {key: value})
        (objection,) = compare({"config.json": beyond}).objections
        assert (objection.path, objection.found) == (
            "config.json", f"{key} 8, and 8 by 'vocab_size' of config.json",
        )  # fmt: skip
        assert compare({"config.json": beyond, "model.safetensors": embedded(9)}) == Compared()


def test_without_a_vocabulary_there_is_nothing_to_be_beyond() -> None:
    assert compare({"config.json": configuration(eos_token_id=50256)}) == Compared()


def test_what_is_unclear_is_objected_to() -> None:
    for path, data in (("tokenizer.json", b"\x80"), ("config.json", configuration(vocab_size="8"))):
        (objection,) = compare({path: data}).objections
        assert objection.path == path
        assert "cannot be told" in objection.message


# -- an adapter ----------------------------------------------------------------------------------------------------


def read(data: bytes) -> Tokenizer:
    found = read_facts("tokenizer.json", Held(data))
    assert isinstance(found, Tokenizer)
    return found


def test_an_adapter_that_gives_tokens_other_ids() -> None:
    base = read(tokenizer())
    assert compare_tokenizers("tokenizer.json", base, "base 1", []) is None
    assert compare_tokenizers("tokenizer.json", read(unigram()), "base 1", [base]) is None
    other = read(tokenizer(TOKENS[::-1], {"<pad>": 8}))
    assert compare_tokenizers("tokenizer.json", other, "base 1", [base, other]) is None
    objection = compare_tokenizers("tokenizer.json", other, "base 1", [base])
    assert objection is not None
    assert objection.what == DRIFT
    assert (
        objection.message
        == "tokenizer.json gives tokens other ids than the tokenizer of its parent base 1 does"
    )
    assert objection.found == "9 tokens up to id 8; the parent's: 8 up to 7"
