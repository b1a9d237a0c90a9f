"""The authored source that `low fetch` was asked for by options (SPEC L2.19). Pure.

>>> as_source("oci://registry.example/org/model@sha256:" + "0" * 64, {"form": "layout"})["form"]
'layout'
>>> is_address("org/name"), is_address("s3://models/base/")
(False, True)
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airlift.bundle.component import source as sources
from airlift.errors import AirliftError, UsageError
from airlift.low.sources.plan import BUCKETS, bare_url

SCHEMES = {
    "https": sources.HTTPS,
    "http": sources.HTTPS,
    **{kind: kind for kind in BUCKETS},
    "oci": sources.OCI,
}
"""The key of a source for each way that an address may begin."""
_CHOOSING = {"include", "exclude", "plain_http"}
_URL = _CHOOSING | {"digest", "digests", "path", "bytes"}
_KEYS = {
    sources.HTTPS: _URL,
    sources.OCI: _CHOOSING | {"form"},
    **{kind: _URL | {"version", "endpoint"} for kind in BUCKETS},
}

_KEY = re.compile(r"`(digests?|version|path|bytes|form|include|exclude|endpoint|plain_http)(?:: (\w+))?`")


def is_address(text: str) -> bool:
    """Say whether something to fetch is an address, and not a repository of a hub."""
    return text.partition("://")[0] in SCHEMES and "://" in text


def as_source(address: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the source of an address with the options that were given; ``options`` are keys of a source.

    Raises:
        UsageError: an option does not go with such an address.
    """
    kind = SCHEMES[address.partition("://")[0]]
    given = {key: value for key, value in options.items() if value}
    idle = sorted(given.keys() - _KEYS[kind])
    if idle:
        raise UsageError(
            f"--{idle[0].replace('_', '-')} does not go with {address.partition('://')[0]}://",
            expected=", ".join(f"--{key.replace('_', '-')}" for key in sorted(_KEYS[kind])),
            hint=f"leave it out: `airlift low fetch {bare_url(address)}`",
        )
    return {kind: address, **given}


@contextmanager
def by_options() -> Iterator[None]:
    """Let an error of a source that was given by options name these, and no keys of a manifest."""
    try:
        yield
    except AirliftError as error:
        error.message, error.hint = _in_options(error.message), _in_options(error.hint)
        error.expected = None if error.expected is None else _in_options(error.expected)
        raise


def _in_options(text: str) -> str:
    """Return a text with options in the place of a manifest's keys.

    >>> _in_options("name the files: `files` or `digests`, or `form: layout`")
    'name the files: --digests, or --form layout'
    """
    text = re.sub(r"`files`(?:,| or| and) ", "", text)
    text = text.replace("`plain_http: true` in the source (--plain-http)", "--plain-http")
    return _KEY.sub(lambda found: _option(found[1], found[2] or ""), text)


def _option(key: str, value: str) -> str:
    return f"--{key.replace('_', '-')} {value}".rstrip()
