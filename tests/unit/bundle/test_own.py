"""What of a bundle is an enclave's own: all of it, or its portion."""

from dataclasses import replace

import pytest

from airlift.bundle import chunk, manifest, own, volume
from airlift.bundle.chunk import Block, Source
from airlift.bundle.parity.stripe import Stripe
from airlift.errors import MalformedError, WrongEnclaveError
from tests.support.bundle_values import BASELINE, BUNDLE, RENEWAL, SEVERAL, content


def test_a_bundle_for_one_or_any_is_whole_for_whoever_asks() -> None:
    for bundle in (BUNDLE, RENEWAL):
        mine = own.of(bundle, "alpha")
        assert mine == own.whole(bundle)
        assert tuple(own.every(bundle)) == (mine,)
        assert mine is not None
        assert (mine.enclave, mine.baseline, mine.variants) == (None, bundle.baseline, bundle.variants)
        assert (mine.bases, mine.files, mine.chunks) == (bundle.bases, bundle.files, bundle.chunks)
        assert (mine.target, mine.marking) == (bundle.target, bundle.marking)
        assert own.as_taken(bundle, "alpha") is bundle
        assert not mine.has_file(len(bundle.files))
    assert own.whole(BUNDLE).has_file(2)
    assert own.whole(BUNDLE).has_base(1)


def test_what_may_be_read_is_its_own_and_what_its_parity_is_of() -> None:
    stripe = Stripe((1, 2), (content("parity", 500),))
    several = replace(SEVERAL, parity=(stripe,))
    alpha, bravo = own.every(several)
    chunks = several.chunks
    assert alpha.readable() == (*chunks, *stripe.parity)
    assert bravo.readable() == (*chunks, *stripe.parity)
    apart = replace(several, parity=(replace(stripe, data=(2,)),))
    alpha, bravo = own.every(apart)
    assert alpha.readable() == chunks[:2]
    assert bravo.readable() == (chunks[0], chunks[2], *stripe.parity)


def test_who_has_no_portion_gets_nothing() -> None:
    """What broke: who asked for what is another enclave's would have been given all of it."""
    assert own.insist(SEVERAL, "alpha") == own.of(SEVERAL, "alpha")
    assert own.insist(BUNDLE, "whoever") == own.whole(BUNDLE)
    with pytest.raises(WrongEnclaveError, match="other enclaves"):
        own.insist(SEVERAL, "charlie")


def test_a_portion_is_what_its_ranges_say() -> None:
    alpha, bravo = own.every(SEVERAL)
    assert (alpha, bravo) == (own.of(SEVERAL, "alpha"), own.of(SEVERAL, "bravo"))
    assert own.of(SEVERAL, "charlie") is None
    assert (alpha.enclave, alpha.baseline, bravo.baseline) == ("alpha", BASELINE, None)
    assert (alpha.file_numbers, bravo.file_numbers) == ((0, 1, 2), (0, 1, 3))
    assert (alpha.chunk_numbers, bravo.chunk_numbers) == ((0, 1), (0, 2))
    assert [item.size for item in bravo.files] == [200, 0, 300]
    assert bravo.chunk_bytes == 900
    assert bravo.bases == ()
    assert [bravo.has_file(number) for number in range(5)] == [True, True, False, True, False]
    assert [alpha.has_base(number) for number in range(3)] == [True, True, False]
    assert bravo.only(item.sha512 for item in SEVERAL.chunks) == tuple(
        SEVERAL.chunks[number].sha512 for number in (0, 2)
    )


def test_whom_it_is_for() -> None:
    assert (BUNDLE.enclaves, RENEWAL.enclaves, SEVERAL.enclaves) == (("alpha",), (), ("alpha", "bravo"))
    assert [SEVERAL.is_for(name) for name in ("alpha", "bravo", "charlie", None)] == [
        True,
        True,
        False,
        False,
    ]
    assert [RENEWAL.is_for(name) for name in ("alpha", None)] == [True, True]
    assert [BUNDLE.is_for(name) for name in ("alpha", "bravo", None)] == [True, False, False]
    assert SEVERAL.id == "several-7"
    assert volume.folder_name(SEVERAL, 1, 2) == "airlift-several-7-vol01of02"


def test_the_label_names_all_of_them_with_their_baselines() -> None:
    lines = volume.render_label(SEVERAL, 1, 1).decode().splitlines()
    assert [line for line in lines if "enclave" in line or "baseline" in line] == [
        "  for enclave   alpha, from assistant@2026.11.0",
        "  for enclave   bravo, from none (complete)",
    ]
    told = volume.summary(next(own.every(SEVERAL)))
    assert (told["enclave"], told["enclaves"], told["baseline"]) == (
        None,
        ("alpha", "bravo"),
        "assistant@2026.11.0",
    )


def test_what_was_taken_is_told_as_a_bundle_would_be() -> None:
    taken = own.as_taken(SEVERAL, "alpha")
    assert (taken.id, taken.baseline) == (SEVERAL.id, BASELINE)
    assert (len(taken.files), len(taken.chunks), len(taken.bases)) == (3, 2, 2)
    assert own.as_taken(SEVERAL, "charlie") is SEVERAL


FIRST = Block(0, 0, 200, 0, 0, (), b"")
OTHERS = Block(3, 0, 300, 0, 0, (), b"")


def test_blocks_tile_the_own_files_alone() -> None:
    _, bravo = own.every(SEVERAL)
    assert list(chunk.in_order([FIRST, OTHERS], bravo.files, bravo.file_numbers)) == [FIRST, OTHERS]
    for blocks in ([FIRST], [FIRST, replace(OTHERS, file=2)], [OTHERS, FIRST], [FIRST, OTHERS, OTHERS]):
        with pytest.raises(MalformedError):
            list(chunk.in_order(blocks, bravo.files, bravo.file_numbers))


def test_blocks_read_what_is_their_own_alone() -> None:
    alpha, bravo = own.every(SEVERAL)
    for source, takers in (
        (Source(0, 0, 1), [alpha]),
        (Source(chunk.BUILT, 0, 1), [alpha, bravo]),
        (Source(chunk.BUILT + 2, 0, 1), [alpha]),
    ):
        block = replace(OTHERS, sources=(source,))
        for mine in (alpha, bravo):
            if mine in takers:
                assert list(chunk.within([block], mine)) == [block]
                continue
            with pytest.raises(MalformedError, match="another enclave's portion"):
                list(chunk.within([block], mine))


def test_an_older_reader_finds_it_too_new() -> None:
    data = manifest.format(SEVERAL)
    assert data.startswith(b'{"airlift":2,')  # it knows format 1 alone
    assert manifest.parse(data) == SEVERAL
