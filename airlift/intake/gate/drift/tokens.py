"""Which ids there are: a tokenizer as Hugging Face's library writes it, and a model's configuration."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from airlift.intake.gate.drift import documents
from airlift.intake.gate.drift.documents import UnclearError
from airlift.intake.gate.stated import Configuration, Tokenizer, Unclear
from airlift.intake.gate.views import View, pairs_in

TOKENIZER = "tokenizer.json"
CONFIGURATION = "config.json"
MOST = 2**32 - 1
"""The highest id that the library can hold."""
MAX_TOKENS = 2 << 20
SPECIAL = ("bos_token_id", "eos_token_id", "pad_token_id")
_VOCABULARY = "vocab_size"
_NO_TOKEN = -1
"""What configurations of older models state where there is no such token."""
_SHOWN = 40


def read_tokenizer(view: View) -> Tokenizer | Unclear | None:
    """Return the ids of a tokenizer, why they cannot be told, or None if it is of another kind."""
    try:
        document = documents.load(view)
        model = document.get("model") if isinstance(document, dict) else None
        vocabulary = model.get("vocab") if isinstance(model, dict) else None
        if not isinstance(vocabulary, dict | list):
            return None
        if len(vocabulary) > MAX_TOKENS:
            return Unclear(f"it has more than {MAX_TOKENS} tokens")
        ids = dict(_listed(vocabulary)) if isinstance(vocabulary, list) else _mapped(vocabulary)
        ids |= dict(_added(document.get("added_tokens")))
    except UnclearError as error:
        return Unclear(str(error))
    text = json.dumps(sorted(ids.items()), separators=(",", ":"))
    return Tokenizer(len(ids), max(ids.values(), default=-1), hashlib.sha512(text.encode()).hexdigest())


def read_configuration(view: View) -> Configuration | Unclear | None:
    """Return the ids that a configuration states, why they cannot be told, or None if it is none (SPEC L2.6)."""
    try:
        document = documents.load(view)
    except UnclearError:
        return None
    if not isinstance(document, dict):
        return None
    try:
        own = _number(document.get(_VOCABULARY))
        inner = (_whole(value) for key, value in pairs_in(document) if key == _VOCABULARY)
        known = max((count for count in inner if count is not None and count > 0), default=own)
        special = tuple((key, value) for key in SPECIAL for value in _ids(key, document.get(key)))
    except UnclearError as error:
        return Unclear(str(error))
    return Configuration(known, special)


# -- a tokenizer ---------------------------------------------------------------------------------------------------


def _mapped(vocabulary: dict[str, Any]) -> dict[str, int]:
    """Return the vocabulary of BPE, WordPiece or WordLevel: tokens with their ids."""
    for token, value in vocabulary.items():
        _check_id(token, value)
    return dict(vocabulary)


def _listed(vocabulary: list[Any]) -> Iterator[tuple[str, int]]:
    """Yield the vocabulary of Unigram: pieces with their scores, whose place is their id."""
    for place, piece in enumerate(vocabulary):
        if not isinstance(piece, list) or len(piece) != 2 or not isinstance(piece[0], str):
            raise UnclearError(f"what stands at {place} of its vocabulary is no piece with a score")
        yield piece[0], place


def _added(tokens: Any) -> Iterator[tuple[str, int]]:
    if tokens is None:
        return
    if not isinstance(tokens, list):
        raise UnclearError("its added tokens are no list")
    for token in tokens:
        content = token.get("content") if isinstance(token, dict) else None
        if not isinstance(content, str):
            raise UnclearError("an added token has no content")
        _check_id(content, token.get("id"))
        yield content, token["id"]


def _check_id(token: str, value: Any) -> None:
    if type(value) is not int or not 0 <= value <= MOST:
        raise UnclearError(f"the id of token {token[:_SHOWN]!a} is no number from 0 to {MOST}")


# -- a configuration -----------------------------------------------------------------------------------------------


def _ids(key: str, value: Any) -> Iterator[int]:
    """Yield the ids of a special token: none, one, or a list of them."""
    for item in value if isinstance(value, list) else [value]:
        if item is None or (type(item) is int and item == _NO_TOKEN):
            continue
        if type(item) is not int or not 0 <= item <= MOST:
            raise UnclearError(f"{key!r} is no id of a token")
        yield item


def _number(value: Any) -> int | None:
    """Return how many ids the model itself has; nothing and numbers below 1 say none."""
    if value is not None and type(value) is not int:
        raise UnclearError(f"{_VOCABULARY!r} is no whole number")
    return value if value is not None and value > 0 else None


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None
