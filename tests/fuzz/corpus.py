"""What is kept for the fuzz targets: for each a corpus, ``NAME.json``, and a dictionary, ``NAME.dict``.

The corpus has inputs that reach lines of airlift which no good input of the target reaches, each as a part of a case
and what takes its place. The dictionary is one of AFL and libFuzzer: a word a line, in quotes. Both may grow by hand,
by an input that broke something say; ``python -m tests.fuzz.corpus SECONDS [NAME...]`` collects the inputs anew.
"""

import base64
import json
import re
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from airlift.errors import AirliftError
from tests.fuzz.mutate import Case, Input, Kept, changed

FOLDER = Path(__file__).parent / "corpus"
SOURCE = str(Path(__file__).parents[2] / "airlift")
MAX_INPUTS, MAX_BYTES = 12, 2048
WORD = re.compile(r'"((?:[ !#-\[\]-~]|\\x[0-9a-f]{2}|\\["\\])+)"')
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|(.))")


def load(name: str) -> Kept:
    """Return what is kept for a target."""
    listed = json.loads((FOLDER / f"{name}.json").read_text("ascii"))
    inputs = (Input(case, part, zlib.decompress(base64.b64decode(data))) for case, part, data in listed)
    return Kept(tuple(inputs), words((FOLDER / f"{name}.dict").read_text("ascii")))


def words(text: str) -> tuple[bytes, ...]:
    """Return the words of a dictionary; raises ValueError for a line that is none."""
    found = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            match = WORD.fullmatch(line)
            if match is None:
                raise ValueError(line)
            found.append(_unescaped(match[1]))
    return tuple(found)


def _unescaped(text: str) -> bytes:
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else m[2], text).encode("latin-1")


# -- collecting ----------------------------------------------------------------------------------------------------


def lines_of(case: Case) -> frozenset[tuple[str, int]]:
    """Return the lines of airlift that an input reaches."""
    seen = set[tuple[str, int]]()

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(SOURCE):
            return None
        if event == "line":
            seen.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        case.feed(case.parts, Random(0))
    except AirliftError:
        pass
    finally:
        sys.settrace(before)
    return frozenset(seen)


def collect(cases: Sequence[Case], seconds: float, known: Sequence[bytes]) -> list[Input]:
    """Return inputs that reach what neither the cases nor the ones before them do."""
    random_, end = Random(0), time.process_time() + seconds
    reached, found = set[tuple[str, int]](), list[Input]()
    for case in cases:
        reached |= lines_of(case)
    while time.process_time() < end and len(found) < MAX_INPUTS:
        number = random_.randrange(len(cases))
        mine = [item.put_in(cases) for item in found if item.case == number]
        base = random_.choice([cases[number], *mine])
        made = changed(base, random_.choice(cases), random_, known)
        part = next((n for n, data in enumerate(made.parts) if data != base.parts[n]), None)
        if part is None or len(made.parts[part]) > MAX_BYTES:
            continue
        item = Input(number, part, made.parts[part])
        new = lines_of(item.put_in(cases)) - reached
        if new:
            reached |= new
            found.append(item)
    return found


def save(name: str, inputs: Sequence[Input]) -> None:
    """Write the corpus of a target."""
    listed = [
        [item.case, item.part, base64.b64encode(zlib.compress(item.data, 9)).decode()] for item in inputs
    ]
    lines = ",\n".join(json.dumps(item) for item in listed)
    (FOLDER / f"{name}.json").write_text(f"[\n{lines}\n]\n" if lines else "[]\n", "ascii")


def main() -> None:
    """Collect inputs: SECONDS [NAME...]."""
    from tests.fuzz.test_parsers import TARGETS

    for name in sys.argv[2:] or TARGETS:
        known = words((FOLDER / f"{name}.dict").read_text("ascii"))
        inputs = collect(list(TARGETS[name]()), float(sys.argv[1]), known)
        save(name, inputs)
        sys.stdout.write(f"{name}: {len(inputs)} inputs\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
