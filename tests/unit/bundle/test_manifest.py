"""The bundle manifest: its names and what its parts may be together. Its vectors are in tests/vectors/bundle."""

import hashlib
from dataclasses import replace

import pytest

from airlift.bundle import manifest
from airlift.bundle.manifest import Bundle
from airlift.errors import MalformedError
from tests.support.bundle_values import BUNDLE, PROTECTED, RENEWAL, SEVERAL, content


@pytest.mark.parametrize("bundle", [BUNDLE, RENEWAL, PROTECTED, SEVERAL])
def test_parse_returns_what_was_formatted(bundle: Bundle) -> None:
    assert manifest.parse(manifest.format(bundle)) == bundle


def test_a_bundle_is_named_and_identified() -> None:
    assert (BUNDLE.id, RENEWAL.id) == ("alpha-7", f"any-{2**31 - 1}")
    assert BUNDLE.digest == hashlib.sha512(manifest.format(BUNDLE)).hexdigest()
    assert manifest.target_name(BUNDLE.digest) == f"bundle-{BUNDLE.digest[:64]}"
    assert BUNDLE.target is not None
    assert BUNDLE.target.label == "assistant@2026.11.1"


@pytest.mark.parametrize("text", ["alpha-1", "any-2147483647", "a-b-1", "0-9999999999"])
def test_ids(text: str) -> None:
    assert manifest.is_id(text)


@pytest.mark.parametrize(
    "text", ["", "alpha", "alpha-", "alpha-0", "alpha-07", "Alpha-1", "a/b-1", "alpha-1\n", "-1-1"]
)
def test_no_ids(text: str) -> None:
    assert not manifest.is_id(text)


@pytest.mark.parametrize(
    ("bundle", "reason"),
    [
        (replace(BUNDLE, enclave="any"), "no enclave may be named"),
        (replace(BUNDLE, target=None), "without a target"),
        (replace(RENEWAL, baseline=BUNDLE.baseline), "without a target"),
        (replace(RENEWAL, bases=BUNDLE.bases), "without a target"),
        (replace(RENEWAL, files=(content("", 0),)), "without a target"),
        (replace(RENEWAL, chunks=BUNDLE.chunks), "without a target"),
        (replace(BUNDLE, baseline=None), "bases without a baseline"),
        (replace(BUNDLE, chunks=()), "exactly when there are bytes"),
        (replace(BUNDLE, files=()), "exactly when there are bytes"),
        (replace(BUNDLE, files=(content("", 0),)), "exactly when there are bytes"),
        (replace(BUNDLE, chunks=(content("c", 0),)), "empty or too long"),
        (replace(BUNDLE, chunks=(content("c", manifest.MAX_CHUNK_BYTES + 1),)), "empty or too long"),
        (replace(BUNDLE, chunks=(content("c", 1), content("c", 2))), "names one digest twice"),
        (replace(BUNDLE, bases=(content("b", 1), content("b", 1))), "names one digest twice"),
    ],
)
def test_parts_that_contradict_each_other_are_malformed(bundle: Bundle, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        manifest.parse(manifest.format(bundle))


def test_lists_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MAX_CHUNKS", 1)
    with pytest.raises(MalformedError, match="too long"):
        manifest.parse(manifest.format(BUNDLE))
