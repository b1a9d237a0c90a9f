"""Models whose files must agree with each other, for the fuzzer: facts or none, and objections that can be shown."""

import random
from collections.abc import Iterator, Sequence
from functools import partial

from airlift.intake.gate.drift.compare import compare_facts, compare_tokenizers
from airlift.intake.gate.drift.facts import read_facts
from airlift.intake.gate.stated import Stated, Tokenizer
from airlift.intake.gate.verdict import DRIFT
from airlift.intake.gate.views import Held
from tests.fuzz.mutate import Case, Parts
from tests.support.drifting import TOKENS, configuration, embedded, index, tensors, tokenizer, unigram


def look(names: Sequence[str], parts: Parts, _random: random.Random) -> None:
    """Read what files of these names state, and hold them against each other."""
    stated: dict[str, Stated] = {}
    for name, data in zip(names, parts, strict=True):
        facts = read_facts(name, Held(data))
        if facts is not None:
            stated[name] = facts
    found = compare_facts(stated)
    assert len({item.path for item in found.objections}) == len(found.objections)
    for item in found.objections:
        assert (item.what, item.path in stated) == (DRIFT, True)
        assert len(item.message) + len(item.found) < 800
        assert f"{item.message}{item.found}".isprintable()
    for facts in stated.values():
        if isinstance(facts, Tokenizer):
            assert -1 <= facts.highest < 1 << 32
            assert compare_tokenizers("tokenizer.json", facts, "base", [facts]) is None


def cases() -> Iterator[Case]:
    shards = ("model-1.safetensors", "model-2.safetensors")
    listed = index({"a": shards[0], "model.embed_tokens.weight": shards[1]}, total_size=44)
    files = (listed, tensors({"a": 2}), embedded(9))
    yield Case(partial(look, ("model.safetensors.index.json", *shards)), files)
    stated = configuration(vocab_size=8, eos_token_id=[2, 7], text_config={"vocab_size": 9})
    for made in (tokenizer(added={"<pad>": 8}), unigram(), tokenizer(TOKENS[::-1])):
        names = ("tokenizer.json", "config.json", "model.safetensors")
        yield Case(partial(look, names), (made, stated, embedded(9)))
        yield Case(partial(look, names[:2]), (made, configuration(vocab_size=4)))
