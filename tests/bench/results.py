"""The figures of one run: as JSON, which tables and plots are made from."""

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.process import Cost


@dataclass(frozen=True, slots=True)
class Row:
    """What one program made of one pair: bytes that cross; the median costs of making and applying them."""

    pair: str
    target: int
    program: str
    size: int
    make: Cost
    apply: Cost
    rounds: int

    @property
    def share(self) -> float:
        """Bytes that cross, of those of the target."""
        return self.size / self.target

    @property
    def seconds(self) -> float:
        """Of making and applying."""
        return self.make.seconds + self.apply.seconds


@dataclass(frozen=True, slots=True)
class Results:
    """Machine and versions, the SHA-512 rates of one core that were read around each pair (GB/s), and the rows."""

    machine: dict[str, str]
    rates: dict[str, list[float]]
    rows: list[Row]

    def of(self, pair: str) -> dict[str, Row]:
        """Return the rows of a pair by program."""
        return {row.program: row for row in self.rows if row.pair == pair}

    @property
    def pairs(self) -> dict[str, int]:
        """The pairs in the order in which they were measured, with the bytes of their targets."""
        return {row.pair: row.target for row in self.rows}


def median(costs: Sequence[Cost]) -> Cost:
    """Return the median of each part."""

    def middle(part: Callable[[Cost], float]) -> float:
        return statistics.median(map(part, costs))

    return Cost(
        middle(lambda cost: cost.seconds),
        middle(lambda cost: cost.cpu),
        int(middle(lambda cost: cost.anonymous)),
        int(middle(lambda cost: cost.resident)),
    )


def save(results: Results, path: Path) -> None:
    """Write results, one row a line."""
    rows = ",\n".join(f"  {json.dumps(_rounded(asdict(row)))}" for row in results.rows)
    head = {
        "machine": results.machine,
        "rates": {k: [round(r, 3) for r in v] for k, v in results.rates.items()},
    }
    path.write_text(f'{json.dumps(head, indent=1)[:-2]},\n "rows": [\n{rows}\n ]\n}}\n')


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def load(path: Path) -> Results:
    """Return what :func:`save` wrote."""
    document = json.loads(path.read_text())
    rows = [Row(**row | {part: Cost(**row[part]) for part in ("make", "apply")}) for row in document["rows"]]
    return Results(document["machine"], document["rates"], rows)
