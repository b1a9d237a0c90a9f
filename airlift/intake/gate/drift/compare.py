"""Hold against each other what the files of a component state (SPEC L2.13), and a tokenizer against its parent's.

Pure: facts in, objections out. What is not known is never an objection, and neither is room for more tokens than a
tokenizer has. A folder is a unit: what lies in another one belongs to another model.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

from airlift.intake.gate.stated import Configuration, Index, Stated, Tokenizer, Unclear, Weights
from airlift.intake.gate.verdict import DRIFT, Objection

EMBEDDINGS = (
    "embed_in.weight", "embed_tokens.weight", "shared.weight", "tok_embeddings.weight", "token_embedding.weight",
    "word_embeddings.weight", "wte.weight", "backbone.embeddings.weight", "rwkv.embeddings.weight",
)  # fmt: skip
"""How the names of tensors end that have one row for each id."""
_SHOWN = 80
_SAVE = "save the model again with its index, or take both from one revision"
_MATCH = "take tokenizer, configuration and weights from one revision of the model"
_Kind = TypeVar("_Kind", bound=Stated)


@dataclass(frozen=True, slots=True)
class Compared:
    """The objections to what does not agree, at most one for each file, and what a person should look at."""

    objections: tuple[Objection, ...] = ()
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Room:
    """How many ids there are, and what says so."""

    ids: int
    told_by: str


def compare_facts(stated: Mapping[str, Stated]) -> Compared:
    """Return what does not agree among the files of a component, whose facts are given by relative path."""
    folders: dict[PurePosixPath, dict[str, Stated]] = {}
    for relative, facts in sorted(stated.items()):
        folders.setdefault(PurePosixPath(relative).parent, {})[relative] = facts
    objections = [item for folder in folders.values() for item in _objections(folder)]
    told = [text for folder in folders.values() for text in _totals(folder)]
    return Compared(tuple(objections), tuple(told))


def compare_tokenizers(
    relative: str, own: Tokenizer, parent: str, others: Iterable[Tokenizer]
) -> Objection | None:
    """Object to a tokenizer that is none of its ``parent``'s (a name for people); none of either is no difference."""
    known = tuple(others)
    if not known or any(own.digest == other.digest for other in known):
        return None
    return Objection(
        DRIFT,
        relative,
        f"{relative} gives tokens other ids than the tokenizer of its parent {parent} does",
        found=f"{own.tokens} tokens up to id {own.highest}; the parent's: {known[0].tokens} up to {known[0].highest}",
        hint="leave it out, so that the parent's tokenizer serves",
    )


def _objections(folder: Mapping[str, Stated]) -> Iterator[Objection]:
    for relative, facts in folder.items():
        if isinstance(facts, Unclear):
            message = f"what {relative} states cannot be told: {facts.why}"
            yield Objection(DRIFT, relative, message, hint=_MATCH)
    for relative, index in _of(folder, Index):
        yield from _index_objections(relative, index, _files_of(relative, index, folder))
    room = _room(folder)
    if room is None:
        return
    for relative, tokenizer in _of(folder, Tokenizer):
        if tokenizer.highest >= room.ids:
            message = f"{relative} has tokens with ids for which the model beside it has no room"
            found = f"id {tokenizer.highest}, and {room.ids} by {room.told_by}"
            yield Objection(DRIFT, relative, message, found=found, hint=_MATCH)
    for relative, configuration in _of(folder, Configuration):
        beyond = [(key, value) for key, value in configuration.special if value >= room.ids]
        if beyond:
            message = f"{relative} names special tokens for whose ids the model has no room"
            found = f"{beyond[0][0]} {beyond[0][1]}, and {room.ids} by {room.told_by}"
            yield Objection(DRIFT, relative, message, found=found, hint=_MATCH)


def _of(folder: Mapping[str, Stated], kind: type[_Kind]) -> Iterator[tuple[str, _Kind]]:
    return ((relative, facts) for relative, facts in folder.items() if isinstance(facts, kind))


# -- an index ------------------------------------------------------------------------------------------------------


def _files_of(relative: str, index: Index, folder: Mapping[str, Stated]) -> dict[str, Weights] | None:
    """Return the files that an index names; None if one of them is not here, which is told elsewhere (SPEC L2.7)."""
    place, found = PurePosixPath(relative).parent, dict[str, Weights]()
    for name in set(index.tensors.values()):
        facts = folder.get((place / name).as_posix())
        if not isinstance(facts, Weights):
            return None
        found[name] = facts
    return found


def _index_objections(
    relative: str, index: Index, files: Mapping[str, Weights] | None
) -> Iterator[Objection]:
    if files is None:
        return
    there = {(tensor, name) for name, weights in files.items() for tensor in weights.rows}
    listed = set(index.tensors.items())
    missing, surplus = listed - there, there - listed
    if not missing and not surplus:
        return
    tensor, name = min(missing or surplus)
    holders = sorted(other for other, weights in files.items() if tensor in weights.rows and other != name)
    lies = f"which is in {holders[0][:_SHOWN]!a}" if holders else "which is nowhere"
    one = f"{tensor[:_SHOWN]!a} in {name[:_SHOWN]!a}"
    yield Objection(
        DRIFT,
        relative,
        f"{relative} lists {len(missing)} tensors that are not where it says, and not {len(surplus)} that are there",
        found=f"{one}, {lies}" if missing else f"{one} is not listed",
        hint=_SAVE,
    )


def _totals(folder: Mapping[str, Stated]) -> Iterator[str]:
    """Tell of totals that are neither the bytes of the tensors nor those of the files: tools write either of them."""
    for relative, index in _of(folder, Index):
        files = _files_of(relative, index, folder)
        if index.total is None or files is None:
            continue
        tensors = sum(weights.tensor_bytes for weights in files.values())
        if index.total not in {tensors, sum(weights.size for weights in files.values())}:
            yield f"{relative} says that its tensors have {index.total} bytes, and they have {tensors}"


# -- room for ids --------------------------------------------------------------------------------------------------


def _room(folder: Mapping[str, Stated]) -> _Room | None:
    """Return for how many ids a model has room: the rows of its largest input embedding, or else what it says.

    What lies in several files under one name is taken together: a file for each processor, or one model twice.
    """
    rows: dict[str, int] = {}
    for _, weights in _of(folder, Weights):
        for name, count in weights.rows.items():
            if _is_embedding(name):
                rows[name] = rows.get(name, 0) + count
    largest = max(rows, key=lambda name: (rows[name], name), default=None)
    if largest is not None and rows[largest]:
        return _Room(rows[largest], f"the rows of {largest[-_SHOWN:]!a}")
    said = [(c.vocabulary, path) for path, c in _of(folder, Configuration) if c.vocabulary is not None]
    return _Room(said[0][0], f"'vocab_size' of {said[0][1]}") if said else None


def _is_embedding(name: str) -> bool:
    return any(name == ending or name.endswith(f".{ending}") for ending in EMBEDDINGS)
