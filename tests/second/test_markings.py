"""Markings: both importers say alike what covers what, and what a ceiling lets in (SPEC 5.6)."""

from itertools import product

from airlift.bundle.fields import LEVELS, Marking
from tests.second.documents import fields

CAVEATS = (
    (), ("NOFORN",), ("REL TO USA",), ("REL TO GBR, USA",), ("REL TO FRA,",), ("REL TO GBR,",), ("REL TO NONE",),
    ("REL TO ",), ("NOFORN", "REL TO USA"), ("REL TO FRA", "REL TO GBR"), ("rel to USA",),
)  # fmt: skip


def test_both_read_caveats_alike() -> None:
    said = set()
    for one, other in product(CAVEATS, repeat=2):
        mine, ceiling = Marking("CUI", one), Marking("CUI", other)
        admitted = mine.beyond(ceiling, LEVELS) is None
        assert fields.within(one, other) is admitted, (one, other)
        assert fields.covers(ceiling.to_json(), mine.to_json()) is ceiling.covers(mine), (one, other)
        said.add((admitted, ceiling.covers(mine)))
    assert len(said) == 4, "all four answers are among them"
