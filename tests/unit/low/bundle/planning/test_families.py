"""Families of tensors, and which of their members are looked at."""

from airlift.low.bundle.planning.families import Families


def test_names_but_for_their_numbers() -> None:
    families = Families()
    one = families.of("model.layers.3.experts.17.up_proj.weight")
    assert families.of("model.layers.12.experts.4.up_proj.weight") is one
    assert families.of("model.layers.3.experts.17.down_proj.weight") is not one
    assert Families().of("model.layers.3.experts.17.up_proj.weight") is not one


def test_ever_more_rarely_until_one_was_found() -> None:
    family = Families().of("h.0.weight")
    assert [number for number in range(1, 70) if family.due()] == [1, 2, 4, 8, 16, 32, 64]
    family.found = True
    assert all(family.due() for _ in range(5))
