"""Files that name others: indices of weights, and configurations that name code (SPEC L2.6, L2.7)."""

import json
from pathlib import PurePosixPath
from typing import Any

from airlift.errors import ForbiddenFileError
from airlift.intake.gate import containers
from airlift.intake.gate.verdict import REMOTE_CODE, Objection
from airlift.intake.gate.views import View, pairs_in

CODE_KEYS = frozenset({"auto_map", "custom_pipelines"})
INDEX = ".index.json"
MAX_JSON_BYTES = 64 << 20
_INDEXED = tuple(f"{suffix}{INDEX}" for suffix in (".safetensors", ".bin", ".h5", ".msgpack"))
_COMPLETE = (
    "complete the folder (git lfs pull, or airlift low fetch REPOSITORY --revision COMMIT), or leave it out"
)


def check_index(relative: str, view: View, paths: frozenset[str]) -> None:
    """Refuse an index of weights that is none, or names anything but files of its own folder.

    Raises:
        ForbiddenFileError: it does.
    """
    name = relative.lower()
    if not name.endswith(INDEX):
        return
    names = _weight_map(relative, view)
    if names is None:
        if name.endswith(_INDEXED):
            raise ForbiddenFileError(
                f"{relative} is no index of weights", expected="an object 'weight_map' of names of files"
            )
        return
    _check_there(relative, sorted(set(names)), paths, above=False)


def check_external(relative: str, view: View, paths: frozenset[str]) -> None:
    """Refuse an ONNX model whose numbers lie in files that are not part of the component, or outside of its folder.

    Raises:
        ForbiddenFileError: it is one.
    """
    _check_there(relative, sorted(set(containers.onnx_external(view))), paths, above=True)


def _check_there(relative: str, names: list[str], paths: frozenset[str], *, above: bool) -> None:
    """Refuse names that are no files of the folder; ``above`` allows for folders within it."""
    folder = PurePosixPath(relative).parent
    missing = [
        name
        for name in names
        if "\\" in name
        or ("/" in name and not above)
        or ".." in PurePosixPath(name).parts
        or (folder / name).as_posix() not in paths
    ]
    if missing:
        raise ForbiddenFileError(
            f"{relative} names {len(missing)} of {len(names)} files that are not in its folder",
            found=ascii(missing[0][:80]),
            hint=_COMPLETE,
        )


def _weight_map(relative: str, view: View) -> list[str] | None:
    try:
        document = _load(relative, view)
    except _NotJSONError:
        return None
    names = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        return None
    return list(names.values())


def remote_code(relative: str, view: View) -> Objection | None:
    """Object to a configuration that names code outside of the libraries, or of which that cannot be told.

    Raises:
        ForbiddenFileError: it is too long to be a configuration.
    """
    if not relative.lower().endswith("config.json"):
        return None
    try:
        document = _load(relative, view)
    except _NotJSONError as error:
        return Objection(
            REMOTE_CODE,
            relative,
            f"{relative} has the name of a configuration and is not JSON, so that what code it names cannot be told",
            found=str(error)[:80],
            hint="correct it, or leave it out",
        )
    for key, value in pairs_in(document):
        if key in CODE_KEYS:
            return Objection(
                REMOTE_CODE,
                relative,
                f"{relative} names remote code under {key!r}",
                found=ascii(value)[:120],
                hint="remove the key if the library that loads it has the code it names; or accept it",
            )
    return None


class _NotJSONError(Exception):
    pass


def _load(relative: str, view: View) -> Any:
    """Parse JSON as those libraries do that read configurations, save that no key may stand twice."""
    size = view.size() or 0
    if size > MAX_JSON_BYTES:
        raise ForbiddenFileError(f"{relative} is too long", expected=f"at most {MAX_JSON_BYTES} bytes")
    try:
        return json.loads(view.read(0, size), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise _NotJSONError(str(error)) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice")
    return result
