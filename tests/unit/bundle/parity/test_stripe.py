"""Stripes: which chunks can be rebuilt from which. What a manifest may say of them is in tests/vectors/bundle."""

import itertools

from airlift.bundle.parity.stripe import Stripe, lost_for_good, repairable
from tests.support.bundle_values import PROTECTED, content

CHUNKS = tuple(content(f"data {number}", 10) for number in range(5))
PARITY = tuple(content(f"parity {number}", 10) for number in range(3))
STRIPES = (Stripe((3, 0, 1), PARITY[:2]), Stripe((2, 4), PARITY[2:]))


def test_members_stand_in_the_order_of_the_code() -> None:
    assert STRIPES[0].members(CHUNKS) == (CHUNKS[3], CHUNKS[0], CHUNKS[1], PARITY[0], PARITY[1])
    assert STRIPES[0].size == 10


def test_what_can_be_rebuilt_from_every_set_of_chunks() -> None:
    everything = (*CHUNKS, *PARITY)
    for count in range(len(everything) + 1):
        for there in itertools.combinations(everything, count):
            present = {item.sha512 for item in there}
            lost = set()
            for stripe, needed in zip(STRIPES, (3, 2), strict=True):
                members = {item.sha512 for item in stripe.members(CHUNKS)}
                if len(members & present) < needed:
                    lost |= members - present
            expected = tuple(item.sha512 for item in CHUNKS if item.sha512 in lost)
            assert lost_for_good(STRIPES, CHUNKS, present) == expected
            back = tuple(c.sha512 for c in CHUNKS if c.sha512 not in present and c.sha512 not in lost)
            assert repairable(STRIPES, CHUNKS, present) == back


def test_without_parity_what_is_missing_is_missing() -> None:
    assert lost_for_good((), CHUNKS, {CHUNKS[1].sha512}) == tuple(
        item.sha512 for item in CHUNKS if item != CHUNKS[1]
    )
    assert repairable((), CHUNKS, set()) == ()


def test_a_chunk_that_is_data_and_parity_is_one() -> None:
    assert len(PROTECTED.parity_chunks) == 3
    assert len(PROTECTED.all_chunks) == 4
