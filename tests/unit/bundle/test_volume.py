"""The volume: names, label, index and sums. Its vectors are in tests/vectors/bundle."""

from dataclasses import replace

import pytest

from airlift.bundle import volume
from airlift.bundle.fields import Marking
from airlift.bundle.manifest import MAX_SEQUENCE, Bundle
from airlift.bundle.own import whole
from airlift.errors import MalformedError
from tests.support.bundle_values import BUNDLE, INDEX, RENEWAL, SUMS, sha512


def test_names_fit_joliet_rock_ridge_and_udf() -> None:
    longest = replace(BUNDLE, enclave="a" * 24, sequence=MAX_SEQUENCE)
    digest = sha512("x")
    names = [
        volume.folder_name(longest, 99, 99),
        volume.chunk_name(digest),
        volume.LABEL,
        volume.INDEX,
        volume.SUMS,
    ]
    assert all(len(name) <= 64 and name.isascii() for name in names)
    assert volume.chunk_name(digest) == digest[:64]
    assert volume.manifest_name(digest) == f"{digest[:64]}.json"


@pytest.mark.parametrize("bundle", [BUNDLE, RENEWAL])
def test_a_folder_is_named_after_its_bundle(bundle: Bundle) -> None:
    name = volume.folder_name(bundle, 1, 3)
    assert name == f"airlift-{bundle.enclave or 'any'}-{bundle.sequence}-vol01of03"


def test_the_index_and_the_sums_round_trip() -> None:
    assert volume.parse_index(volume.format_index(INDEX)) == INDEX
    assert volume.parse_sums(volume.format_sums(SUMS)) == SUMS


def test_sums_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume, "MAX_SUMS_BYTES", 10)
    with pytest.raises(MalformedError, match="too long"):
        volume.parse_sums(volume.format_sums(SUMS))


@pytest.mark.parametrize(
    "bundle", [BUNDLE, RENEWAL, replace(BUNDLE, marking=Marking("~ " * 32, ("!" * 64,)))]
)
def test_the_label_is_printable_ascii_with_its_marking_first_and_last(bundle: Bundle) -> None:
    text = volume.render_label(bundle, 2, 3).decode("ascii")
    lines = text.splitlines()
    assert lines[0] == lines[-1] == str(bundle.marking)
    assert len(lines) <= 24
    assert all(line.isprintable() for line in lines)
    assert text == "\n".join(lines) + "\n"
    assert f"bundle {bundle.id}, volume 2 of 3" in text


def test_the_label_says_what_is_on_the_medium() -> None:
    text = volume.render_label(BUNDLE, 1, 1).decode()
    for fact in (
        "alpha",
        BUNDLE.issued,
        "assistant@2026.11.1",
        "assistant@2026.11.0",
        "2 in the whole bundle, 1300 bytes",
    ):
        assert fact in text
    renewal = volume.render_label(RENEWAL, 1, 1).decode()
    assert "any that pinned this root" in renewal
    assert "none (fresh metadata and revocations only)" in renewal
    assert "none (complete)" in renewal


def test_no_two_labels_of_a_set_are_the_same() -> None:
    """A LABEL.txt that says something else than the signed data is found by rendering it again."""
    labels = {volume.render_label(bundle, n, 3) for bundle in (BUNDLE, RENEWAL) for n in (1, 2, 3)}
    assert len(labels) == 6


def test_the_summary_has_the_same_keys_for_every_bundle() -> None:
    assert volume.summary(whole(BUNDLE)) == {
        "bundle": "alpha-7",
        "sequence": 7,
        "enclave": "alpha",
        "baseline": "assistant@2026.11.0",
        "target": "assistant@2026.11.1",
        "marking": {"level": "SECRET", "caveats": ["NOFORN"]},
    }
    assert volume.summary(whole(RENEWAL)).keys() == volume.summary(whole(BUNDLE)).keys()
    assert volume.summary(whole(RENEWAL))["target"] is None
