"""Judge one file of a component: what a waiver can meet is told, what none can meet is refused (SPEC L2.4 to L2.7).

A pickle runs code when it is loaded; so do Python files that a model's configuration names (``auto_map``). Reads are
bounded, and nothing is ever loaded.
"""

import json
import os
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from airlift import files
from airlift.errors import ForbiddenFileError
from airlift.low.release.gate import pickles
from airlift.low.release.gate.verdict import CODE, PICKLE, REMOTE_CODE, Objection, Verdict

PICKLED_SUFFIXES = frozenset(
    {".bin", ".ckpt", ".dill", ".joblib", ".mar", ".pickle", ".pkl", ".pt", ".pth", ".ptl", ".pt2"}
)
CODE_SUFFIXES = frozenset({".py", ".pyc", ".pyd", ".pyo", ".pyw", ".pyx", ".so", ".dll", ".dylib"})
CODELESS_KINDS = frozenset({"model", "adapter", "guard", "tokenizer"})
CODE_KEYS = frozenset({"auto_map", "custom_pipelines"})
INDEX_SUFFIX = ".safetensors.index.json"
MAX_JSON_BYTES = 64 << 20

_CONVERT = "convert the weights to safetensors, then run the same command again"


def judge(kind: str, relative: str, descriptor: int, paths: frozenset[str]) -> Verdict:
    """Judge an open file of a component of this kind; ``paths`` are all files of the component.

    Raises:
        ForbiddenFileError: what no waiver can meet: a configuration that is damaged, or an index of safetensors files
            that names anything but files of its own folder.
    """
    with files.reading(relative):
        size = os.fstat(descriptor).st_size
        head = files.read_at(descriptor, 0, pickles.WINDOW)
        tail = files.read_at(descriptor, max(0, size - pickles.WINDOW), pickles.WINDOW)
    objections = [*_named(kind, relative)]
    if pickles.is_pickle(head, tail):
        objections.append(
            Objection(
                PICKLE, relative, f"{relative} is or holds a pickle, judging by its content", hint=_CONVERT
            )
        )
    if relative.endswith(INDEX_SUFFIX):
        _check_index(relative, _load_json(relative, descriptor, size), paths)
    elif kind in CODELESS_KINDS and relative.lower().endswith("config.json"):
        objections += _configured(relative, _load_json(relative, descriptor, size))
    return Verdict(tuple(objections))


def _named(kind: str, relative: str) -> Iterator[Objection]:
    suffix = PurePosixPath(relative.lower()).suffix
    if suffix in PICKLED_SUFFIXES:
        message = f"{relative} may hold a pickle, judging by its name"
        yield Objection(PICKLE, relative, message, hint=_CONVERT)
    if kind in CODELESS_KINDS and suffix in CODE_SUFFIXES:
        message = f"{relative} is code, and a component of kind {kind} must not bring any"
        hint = "remove it; bring code in by the way that code is reviewed"
        yield Objection(CODE, relative, message, hint=hint)


def _check_index(relative: str, document: Any, paths: frozenset[str]) -> None:
    names = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise ForbiddenFileError(
            f"{relative} is no index of safetensors files", expected="an object 'weight_map'"
        )
    folder = PurePosixPath(relative).parent
    for name in sorted(set(names.values())):
        if "/" in name or "\\" in name or (folder / name).as_posix() not in paths:
            raise ForbiddenFileError(
                f"{relative} names a file that is not in its folder",
                found=ascii(name[:80]),
                hint="complete the folder or correct the index",
            )


def _configured(relative: str, document: Any) -> Iterator[Objection]:
    for key in sorted(CODE_KEYS.intersection(_keys(document))):
        hint = "remove the key; a model whose code is not in its library cannot be carried"
        yield Objection(REMOTE_CODE, relative, f"{relative} names remote code under {key!r}", hint=hint)


def _load_json(relative: str, descriptor: int, size: int) -> Any:
    """Parse JSON as those libraries do that read configurations, save that no key may stand twice."""
    if size > MAX_JSON_BYTES:
        raise ForbiddenFileError(f"{relative} is too long", expected=f"at most {MAX_JSON_BYTES} bytes")
    with files.reading(relative):
        data = files.read_at(descriptor, 0, size)
    try:
        return json.loads(data, object_pairs_hook=_pairs)
    except (ValueError, RecursionError) as error:
        raise ForbiddenFileError(
            f"{relative} is not JSON", found=str(error)[:80], hint="correct or remove it"
        ) from error


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice")
    return result


def _keys(value: Any) -> Iterator[str]:
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield from item
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
