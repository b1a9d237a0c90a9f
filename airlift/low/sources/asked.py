"""The authored source that `low fetch` was asked for by options (SPEC L2.19). Pure.

>>> as_source("oci://registry.example/org/model@sha256:" + "0" * 64, {"form": "layout"})["form"]
'layout'
>>> is_address("org/name"), is_address("s3://models/base/")
(False, True)
"""

from collections.abc import Mapping
from typing import Any

from airlift.bundle.component import source as sources
from airlift.errors import UsageError
from airlift.low.sources.plan import BUCKETS

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
            hint=f"leave it out: `airlift low fetch {address[:200]}`",
        )
    return {kind: address, **given}
