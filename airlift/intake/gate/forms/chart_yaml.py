"""What a chart says of itself: name and version, from YAML that is read strictly (SPEC L2.17). Pure."""

import re
from collections.abc import Iterator

import yaml

from airlift.errors import MalformedError

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
_TEXT = "tag:yaml.org,2002:str"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,249}")
_NUMBER, _WORD = r"(?:0|[1-9][0-9]{0,17})", r"[0-9A-Za-z-]+"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_WORD}(?:\.{_WORD})*)?(?:\+{_WORD}(?:\.{_WORD})*)?"
)
_API = frozenset({"v1", "v2"})


def identity(data: bytes, what: str) -> tuple[str, str]:
    """Return name and version of a chart; ``what`` names the file.

    Raises:
        MalformedError: it is too long, no plain YAML, has a key twice, or lacks one of the two or their form.
    """
    if len(data) > MAX_BYTES:
        raise MalformedError(f"{what} is too long", expected=f"at most {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8")
        _check_plain(text, what)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        _check_keys(node, what)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise MalformedError(f"{what} is not plain YAML", found=type(error).__name__) from error
    stated = dict(_members(node))
    if stated.get("apiVersion") not in _API:
        raise MalformedError(f"{what} has no 'apiVersion' that is known", expected=" or ".join(sorted(_API)))
    for key, form, example in (("name", _NAME, "NAME"), ("version", _SEMVER, "1.2.3 (SemVer 2)")):
        if not form.fullmatch(stated.get(key, "")):
            raise MalformedError(
                f"{what} has no {key!r} that is one",
                expected=example,
                found=ascii(stated.get(key, "none")[:80]),
            )
    return stated["name"], stated["version"]


def _members(node: yaml.Node | None) -> Iterator[tuple[str, str]]:
    """Yield the members at the top that are texts."""
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode) and value.tag == _TEXT:
            yield key.value, value.value


def _check_plain(text: str, what: str) -> None:
    """Refuse anchors and aliases, which may grow in memory, several documents, and deep nesting."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        documents += isinstance(event, yaml.DocumentStartEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise MalformedError(f"{what} has an anchor or an alias, which is not read here")
        if depth > MAX_DEPTH or documents > 1:
            raise MalformedError(f"{what} is nested too deeply, or is more than one document")


def _check_keys(node: yaml.Node | None, what: str) -> None:
    """Refuse a key that stands twice: readers take the first or the last."""
    waiting = [node]
    while waiting:
        item = waiting.pop()
        if isinstance(item, yaml.SequenceNode):
            waiting += item.value
        elif isinstance(item, yaml.MappingNode):
            keys = [key.value if isinstance(key, yaml.ScalarNode) else repr(key) for key, _ in item.value]
            if len(set(keys)) < len(keys):
                raise MalformedError(f"{what} has a key twice")
            waiting += [value for _, value in item.value]
