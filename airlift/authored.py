"""YAML that people write: loaded strictly, checked against a JSON Schema, errors with file, line and key.

Plain mappings, lists, strings, integers, booleans and null only: no tags, anchors, aliases or merge keys, no key
twice, bounded in size and depth (a YAML document must not be able to grow in memory). The schemas are data in
``manifests/``.
"""

import importlib.resources
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import yaml

from airlift import schema as schemas
from airlift.errors import ManifestError

if TYPE_CHECKING:
    import jsonschema

MAX_BYTES = 256 << 10
MAX_DEPTH = 16
MAX_DIGITS = 20

_TAG = "tag:yaml.org,2002:"
_SCALARS = {f"{_TAG}{kind}" for kind in ("str", "int", "bool", "null")}
_UNQUOTED = {f"{_TAG}float": "a number with a point", f"{_TAG}timestamp": "a date"}
_HINT = "quote versions and revisions ('1.10'), and see manifests/ for the schema and samples"
_Path = tuple[str | int, ...]


def load(name: str, data: bytes, schema: str) -> dict[str, Any]:
    """Return the document in ``data`` (a file that people know as ``name``), valid under ``manifests/<schema>``.

    Raises:
        ManifestError: anything is off; the message names the file, the line and the key.
    """
    if len(data) > MAX_BYTES:
        raise ManifestError(
            f"{name}: too long", expected=f"at most {MAX_BYTES} bytes", found=f"{len(data)} bytes"
        )
    lines: dict[_Path, int] = {}
    try:
        text = data.decode("utf-8")
        _refuse_features(name, text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        document = _value(name, node, (), lines)
    except UnicodeDecodeError as error:
        raise ManifestError(f"{name}: not UTF-8", found=f"byte {error.start}") from error
    except yaml.YAMLError as error:
        mark: Any = getattr(error, "problem_mark", None)
        where = name if mark is None else f"{name}:{mark.line + 1}"
        raise ManifestError(
            f"{where}: not YAML: {getattr(error, 'problem', None) or 'cannot be read'}"
        ) from error
    _validate(name, document, schema, lines)
    result: dict[str, Any] = document
    return result


def load_schema(schema: str) -> dict[str, Any]:
    """Return one of the JSON Schemas in ``manifests/``."""
    text = importlib.resources.files("airlift.manifests").joinpath(schema).read_text("utf-8")
    result: dict[str, Any] = json.loads(text)
    return result


def shipped(name: str) -> bytes:
    """Return a file that comes with airlift, of the folder ``manifests/``."""
    return importlib.resources.files("airlift.manifests").joinpath(name).read_bytes()


def _refuse_features(name: str, text: str) -> None:
    """Look at the events before anything is built from them."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ManifestError(f"{name}:{line}: anchors and aliases are not allowed")
        if getattr(event, "tag", None) is not None:
            raise ManifestError(f"{name}:{line}: tags are not allowed")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise ManifestError(
                    f"{name}:{line}: nested too deeply", expected=f"at most {MAX_DEPTH} levels"
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _value(name: str, node: yaml.Node | None, path: _Path, lines: dict[_Path, int]) -> Any:
    if node is None:
        raise ManifestError(f"{name}: empty")
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return _mapping(name, node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_value(name, item, (*path, index), lines) for index, item in enumerate(node.value)]
    where = f"{name}:{lines[path]}: {_dotted(path)}"
    if node.tag in _UNQUOTED:
        raise ManifestError(f"{where}: {_UNQUOTED[node.tag]} must be quoted", hint=_HINT)
    if node.tag not in _SCALARS:
        raise ManifestError(f"{where}: not a plain value")
    return _scalar(where, node)


def _scalar(where: str, node: yaml.Node) -> Any:
    if node.tag == f"{_TAG}int" and len(node.value) > MAX_DIGITS:
        raise ManifestError(f"{where}: not a valid value", expected=f"at most {MAX_DIGITS} digits")
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node)
    except ValueError as error:
        raise ManifestError(f"{where}: not a valid value") from error
    finally:
        loader.dispose()


def _mapping(name: str, node: yaml.MappingNode, path: _Path, lines: dict[_Path, int]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if key_node.tag != f"{_TAG}str":
            raise ManifestError(f"{name}:{line}: a key must be text", found=ascii(key_node.value)[:80])
        key = key_node.value
        if key in result:
            raise ManifestError(f"{name}:{line}: key {key!r} stands twice")
        result[key] = _value(name, value_node, (*path, key), lines)
        lines[(*path, key)] = line
    return result


def _validate(name: str, document: Any, schema: str, lines: dict[_Path, int]) -> None:
    rules = load_schema(schema)
    if schemas.fits(document, rules):
        return
    errors = sorted(_errors(document, rules), key=lambda e: (_line(lines, e.absolute_path), e.message))
    if not errors:
        return
    error = _closest(errors[0])
    path = tuple(error.absolute_path)
    line = _line(lines, (*path, *_unknown(error)[:1]))
    raise ManifestError(f"{name}:{line}: {_dotted(path)}: {_explain(error)}", hint=_HINT)


def _errors(document: Any, rules: dict[str, Any]) -> "Iterator[jsonschema.ValidationError]":
    """Yield all that is wrong with a document; the library is loaded only to say so."""
    import jsonschema

    def whole_pattern(
        _validator: Any, pattern: str, instance: Any, _schema: Any
    ) -> Iterator[jsonschema.ValidationError]:
        """Match the whole text: for Python, ``$`` also stands before a last newline."""
        if isinstance(instance, str) and not re.fullmatch(pattern, instance):
            yield jsonschema.ValidationError(f"{instance!a} does not match {pattern}")

    validator: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]  # its stubs say nothing
        jsonschema.Draft202012Validator, {"pattern": whole_pattern}
    )
    yield from validator(rules).iter_errors(document)


def _closest(error: "jsonschema.ValidationError") -> "jsonschema.ValidationError":
    """Descend into the alternative with the fewest errors, so that the message names the key that is off."""
    while error.context:
        count = Counter(e.relative_schema_path[0] for e in error.context)
        error = min(error.context, key=lambda e: count[e.relative_schema_path[0]])
    return error


def _dotted(path: _Path) -> str:
    return ".".join(str(part) for part in path) or "document"


def _line(lines: dict[_Path, int], path: Iterable[str | int]) -> int:
    return lines.get(tuple(path), 1)


def _unknown(error: Any) -> list[str]:
    """Return the keys that should not be there, if that is what is wrong."""
    if error.validator != "additionalProperties":
        return []
    return sorted(set(error.instance) - set(error.schema.get("properties", {})))


def _explain(error: Any) -> str:
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        return f"unknown key {', '.join(map(repr, _unknown(error)))} (known: {', '.join(known)})"
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        return f"missing key {', '.join(map(repr, missing))}"
    if error.validator == "type":
        found = "null" if error.instance is None else type(error.instance).__name__
        return f"must be of type {error.validator_value}, found {found}"
    if error.validator == "pattern":
        return f"{str(error.instance)[:80]!a} does not match {error.validator_value}"
    return str(error.message)[:200]
