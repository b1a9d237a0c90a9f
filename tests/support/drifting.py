"""Files of a model that must agree with each other: weights, an index, a tokenizer, a configuration."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tests.support.weights import safetensors

EMBEDDING = "model.embed_tokens.weight"
TOKENS = ("<unk>", "<s>", "</s>", "a", "b", "c", "ab", "abc")


def embedded(rows: int, name: str = EMBEDDING) -> bytes:
    """Return a safetensors file with an embedding of so many rows, two numbers each."""
    return tensors({name: rows})


def tensors(rows: Mapping[str, int]) -> bytes:
    """Return a safetensors file of float16 tensors by name, two numbers a row."""
    return safetensors({name: ("F16", (count, 2), bytes(4 * count)) for name, count in rows.items()})


def index(files: Mapping[str, str], **metadata: Any) -> bytes:
    """Return an index of weights: the file of each tensor."""
    return json.dumps({"metadata": metadata, "weight_map": dict(files)}).encode()


def tokenizer(tokens: Iterable[str] = TOKENS, added: Mapping[str, Any] | None = None) -> bytes:
    """Return a tokenizer of BPE, whose tokens have the ids from 0 on; ``added`` are further tokens with their ids."""
    items = [{"id": number, "content": token, "special": True} for token, number in (added or {}).items()]
    vocabulary = {token: place for place, token in enumerate(tokens)}
    return written({"type": "BPE", "vocab": vocabulary, "merges": [["a", "b"]]}, items)


def unigram(pieces: Iterable[str] = TOKENS) -> bytes:
    """Return a tokenizer of Unigram: pieces with scores."""
    return written({"type": "Unigram", "unk_id": 0, "vocab": [[piece, -1.5] for piece in pieces]})


def written(model: Any, added: Any = ()) -> bytes:
    """Return a tokenizer as the library writes one."""
    return json.dumps({"version": "1.0", "added_tokens": added, "model": model}).encode()


def configuration(**stated: Any) -> bytes:
    """Return a configuration."""
    return json.dumps({"architectures": ["LlamaForCausalLM"], **stated}).encode()
