"""What was measured of the cases, as JSON, and the verdict: how airlift compares with the best generic tool."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

OURS = "airlift"
FULL_LIMIT, DELTA_LIMIT = 1.01, 1.02
FULL_BEST = ("zstd -19",)
"""What a full release is held against; xz, which decodes ten times slower, is shown beside it."""


@dataclass(frozen=True, slots=True)
class Coded:
    """Bytes that a program made of a release, and whether it saw the files as one."""

    program: str
    size: int
    how: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """One case: packages, patterns of files left out, files and bytes of the target, and what each program made."""

    case: str
    target: str
    base: str
    left_out: tuple[str, ...]
    files: int
    raw: int
    coded: tuple[Coded, ...]

    def of(self, program: str) -> Coded | None:
        """Return what a program made, if it was measured."""
        return next((coded for coded in self.coded if coded.program == program), None)

    @property
    def limit(self) -> float:
        """What airlift's size may be, of the best tool's."""
        return DELTA_LIMIT if self.base else FULL_LIMIT

    @property
    def best(self) -> Coded | None:
        """The smallest that airlift is held against, if any was measured."""
        held = [
            coded
            for coded in self.coded
            if (coded.program != OURS if self.base else coded.program in FULL_BEST)
        ]
        return min(held, key=lambda coded: coded.size, default=None)

    @property
    def ratio(self) -> float | None:
        """The size of airlift to the best tool's, if both were measured."""
        ours, best = self.of(OURS), self.best
        return None if ours is None or best is None else ours.size / best.size

    @property
    def holds(self) -> bool | None:
        """Whether airlift is within the limit, if that can be told."""
        return None if self.ratio is None else self.ratio <= self.limit


@dataclass(frozen=True, slots=True)
class Record:
    """Machine and versions, and the cases in the order in which they were measured."""

    machine: dict[str, str]
    cases: list[Figures]


def save(record: Record, path: Path) -> None:
    """Write a record, one case a line."""
    cases = ",\n".join(f"  {json.dumps(asdict(case))}" for case in record.cases)
    head = json.dumps({"machine": record.machine}, indent=1)
    path.write_text(f'{head[:-2]},\n "cases": [\n{cases}\n ]\n}}\n')


def load(path: Path) -> Record:
    """Return what :func:`save` wrote."""
    document = json.loads(path.read_text())
    return Record(document["machine"], [_figures(case) for case in document["cases"]])


def _figures(case: dict[str, Any]) -> Figures:
    coded = tuple(Coded(**one) for one in case["coded"])
    return Figures(**case | {"coded": coded, "left_out": tuple(case["left_out"])})
