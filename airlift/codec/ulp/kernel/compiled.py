"""A path of the compiled kernel, with the results of :mod:`airlift.codec.ulp.reference`."""

from dataclasses import dataclass, field
from types import ModuleType

import numpy as np

from airlift.codec.ulp.group import Groups, Model
from airlift.codec.ulp.kernel.operations import Body
from airlift.codec.ulp.payload import Payload
from airlift.codec.ulp.rans import SYMBOLS
from airlift.codec.ulp.scratch import Scratch
from airlift.codec.ulp.table import WRITTEN_TABLES, Tables
from airlift.codec.ulp.unit import Array, Unit
from airlift.errors import MalformedError


@dataclass(frozen=True, slots=True)
class Compiled:
    """One path of the compiled kernel."""

    module: ModuleType
    name: str
    scratch: Scratch = field(default_factory=Scratch, repr=False, compare=False)

    def survey(self, new: Array, base: Array | None, sizes: Array, unit: Unit) -> tuple[Array, Array, Array]:
        """See :func:`airlift.codec.ulp.reference.survey`."""
        sums, tops = np.empty(len(sizes), np.uint64), np.empty(len(sizes), np.uint16)
        moved = np.empty(len(sizes), np.bool_)
        sizes = np.ascontiguousarray(sizes, "<u4")
        self.module.survey(self.name, new, base, sizes, (unit.bits, unit.mantissa), sums, tops, moved)
        return sums, tops, moved

    def analyse(
        self, new: Array, base: Array | None, groups: Groups, model: Model
    ) -> tuple[Array, Array, Body]:
        """See :func:`airlift.codec.ulp.reference.analyse`."""
        index = self.scratch.take(2 * int(groups.live().sizes.sum(dtype=np.int64))).view(np.uint16)
        counts = np.empty((model.contexts, SYMBOLS), np.uint32)
        raw = self.scratch.take(new.nbytes + 16)
        known = (*_groups(groups), _model(model))
        length = self.module.analyse(self.name, new, base, *known, index, counts, raw)
        return index, counts, raw.data[:length]

    def fit(self, counts: Array) -> Tables:
        """See :func:`airlift.codec.ulp.table.fit`."""
        mapped, frequencies = np.empty(len(counts), np.uint8), np.empty((WRITTEN_TABLES, SYMBOLS), np.uint16)
        number = self.module.fit(np.ascontiguousarray(counts, "<u4"), mapped, frequencies)
        return Tables(mapped, frequencies[:number])

    def write(self, index: Array, tables: Tables, lanes: int) -> tuple[Body, Body]:
        """See :func:`airlift.codec.ulp.reference.write`."""
        states, words = np.empty(lanes, np.uint32), self.scratch.take(2 * len(index) + 16).view(np.uint16)
        count = self.module.write(self.name, index, tables.map, tables.frequencies, states, words)
        return states.data.cast("B"), words[len(words) - count :].data.cast("B")

    def read(self, payload: Payload, base: Array | None, out: Array) -> None:
        """See :func:`airlift.codec.ulp.reference.read`.

        Raises:
            MalformedError: the payload is not what an encoder makes.
        """
        coded, tables = (payload.states, payload.words, payload.raw), payload.tables
        known = (*_groups(payload.groups), _model(payload.model), tables.map, tables.frequencies)
        try:
            self.module.read(self.name, *coded, base, *known, out)
        except ValueError as error:
            raise MalformedError(str(error)) from error


def _groups(groups: Groups) -> tuple[Array, Array]:
    return np.ascontiguousarray(groups.sizes, "<u4"), np.ascontiguousarray(groups.scales)


def _model(model: Model) -> tuple[int, int, bool, int, int, int]:
    return model.unit.bits, model.unit.mantissa, model.delta, model.context, model.shift, model.offset
