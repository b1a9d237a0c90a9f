"""The operations that every implementation of the coder offers, with the same results (SPEC U8)."""

from typing import Protocol

from airlift.codec.ulp.group import Groups, Model
from airlift.codec.ulp.payload import Payload
from airlift.codec.ulp.table import Tables
from airlift.codec.ulp.unit import Array, Unit

Body = bytes | memoryview


class Kernel(Protocol):
    """An implementation; :mod:`airlift.codec.ulp.reference`, which is one, says more of each operation."""

    @property
    def name(self) -> str:
        """Its name."""

    def survey(self, new: Array, base: Array | None, sizes: Array, unit: Unit) -> tuple[Array, Array, Array]:
        """Return of each group what its scale follows from."""

    def analyse(
        self, new: Array, base: Array | None, groups: Groups, model: Model
    ) -> tuple[Array, Array, Body]:
        """Return contexts and symbols of coded units, their counts, and the raw bits."""

    def fit(self, counts: Array) -> Tables:
        """Return tables for ``counts[context, symbol]``."""

    def write(self, index: Array, tables: Tables, lanes: int) -> tuple[Body, Body]:
        """Return the states and words of coded units."""

    def read(self, payload: Payload, base: Array | None, out: Array) -> None:
        """Fill ``out`` with the units of a payload."""
