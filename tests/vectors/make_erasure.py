"""Writes erasure/good.json and erasure/bad.json: stripes, what is left of them, and what must come back.

The bytes come from ``tests.support.slow_parity``, which shares nothing with the coder. A good case has the data
members and the parity of a stripe, the numbers of the members that are present, and those that are wanted with all
their bytes. A bad case has what is asked for and the code of the error. Bytes are hexadecimal. Run it with
``python -m tests.vectors.make_erasure``.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.support import slow_parity

FOLDER = Path(__file__).parent / "erasure"
INCOMPLETE, MALFORMED = "volumes-missing", "malformed"


def noise(length: int, seed: int) -> bytes:
    return bytes((n * n * 31 + n * 7 + n // 17 + seed * 101 + seed * n * 13) % 256 for n in range(length))


def stripe(lengths: Sequence[int]) -> list[bytes]:
    return [noise(length, seed) for seed, length in enumerate(lengths)]


def good() -> Iterator[dict[str, Any]]:
    """Yield stripes that come back, lost members of every kind among them."""
    yield _case("a copy", stripe([20]), 1, [1])
    yield _case("three copies, of which no one is the same", stripe([20]), 3, [3])
    yield _case("XOR", stripe([20, 20, 20]), 1, [0, 2, 3])
    yield _case("XOR of members of four lengths", stripe([0, 1, 40, 33]), 1, [0, 1, 3, 4])
    yield _case("two of five: data alone", stripe([33, 33, 33]), 2, [2, 3, 4])
    yield _case("two of five: one of each", stripe([33, 20, 7]), 2, [0, 2, 4])
    yield _case("two of five: parity alone", stripe([33, 20, 7]), 2, [0, 1, 2])
    yield _case("nothing is lost", stripe([33, 20]), 2, [0, 1, 2, 3])
    yield _case("ten and two", stripe([70 - n for n in range(10)]), 2, [0, 1, 2, 4, 5, 6, 8, 9, 10, 11])
    yield _case("all data is lost", stripe([9, 17, 31, 8]), 5, [5, 6, 7, 8])
    yield _case("a stripe of nothing", stripe([0, 0]), 1, [1, 2])
    yield _case("most parity", stripe([3, 2]), 64, [40, 65])
    yield _case("most data", stripe([2] * 254), 1, [n for n in range(255) if n != 200])
    yield _case("most of both", stripe([2] * 191), 64, [n for n in range(255) if not 50 <= n < 114])


def _case(name: str, data: list[bytes], parity: int, present: list[int]) -> dict[str, Any]:
    length = max(map(len, data))
    code = slow_parity.encode(data, parity)
    every = [member.ljust(length, b"\0") for member in data] + code
    wanted = sorted(set(range(len(every))) - set(present)) + present[:1]
    return {
        "name": name,
        "data": [member.hex() for member in data],
        "parity": [member.hex() for member in code],
        "present": present,
        "wanted": {str(number): every[number].hex() for number in wanted},
    }


def bad() -> Iterator[dict[str, Any]]:
    """Yield what is refused."""
    asked = {"data": 2, "parity": 1, "wanted": [2], "length": 4}
    pair = {0: 4, 1: 4}
    yield _refused(
        "too few members", {0: 4, 4: 4}, asked | {"data": 3, "parity": 2, "wanted": [1]}, INCOMPLETE
    )
    yield _refused("no members", {}, asked | {"data": 1, "wanted": [0], "length": 0}, INCOMPLETE)
    yield _refused("no data", pair, asked | {"data": 0})
    yield _refused("no parity", pair, asked | {"parity": 0, "wanted": [0]})
    yield _refused("too much parity", pair, asked | {"parity": 65})
    yield _refused("too many members", pair, asked | {"data": 254, "parity": 2})
    yield _refused("a member that there is not", {0: 4, 3: 4}, asked | {"wanted": [1]})
    yield _refused("a member that there is not is wanted", pair, asked | {"wanted": [3]})
    yield _refused("a member below zero", {-1: 4, 1: 4}, asked)
    yield _refused("a member that is too long", {0: 4, 1: 5}, asked)
    yield _refused("a length that no member has", pair, asked | {"length": 1 << 40})


def _refused(
    name: str, lengths: dict[int, int], asked: dict[str, Any], error: str = MALFORMED
) -> dict[str, Any]:
    present = {str(number): noise(size, number + 1).hex() for number, size in lengths.items()}
    return {"name": name, "present": present, **asked, "error": error}


def documents() -> dict[str, str]:
    """Return the text of each file."""
    made = {"good.json": list(good()), "bad.json": list(bad())}
    return {name: json.dumps(cases, indent=1) + "\n" for name, cases in made.items()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in documents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
