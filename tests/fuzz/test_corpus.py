"""What is kept for the fuzz targets is there, small, and read."""

import random
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airlift.errors import AirliftError
from tests.fuzz import corpus
from tests.fuzz.mutate import Case, Input, Kept, Parts, damaged, run
from tests.fuzz.test_parsers import TARGETS


def test_every_target_has_a_corpus_and_a_dictionary() -> None:
    found = {path.name for path in corpus.FOLDER.iterdir()}
    assert found == {f"{name}.{end}" for name in TARGETS for end in ("json", "dict")}


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_kept_can_be_read(name: str) -> None:
    kept = corpus.load(name)
    assert len(kept.words) > 4
    assert len(set(kept.words)) == len(kept.words)
    assert len(set(kept.inputs)) == len(kept.inputs)
    assert all(len(item.data) <= corpus.MAX_BYTES for item in kept.inputs)


def test_words_are_those_of_the_line() -> None:
    assert corpus.words('# words\n"a b"\n\n"\\x00\\"\\\\"\n') == (b"a b", b'\0"\\')
    for line in ("a", '""', '"a', 'k="a"', '"\\y"'):
        with pytest.raises(ValueError, match=re.escape(line)):
            corpus.words(line)


def test_words_are_put_in() -> None:
    random_ = random.Random(1)
    assert any(b"WORD" in damaged(bytes(40), b"", random_, (b"WORD",)) for _ in range(99))


def test_what_is_kept_is_fed_first(tmp_path: Path) -> None:
    fed = list[bytes]()

    def feed(parts: Parts, _random: random.Random) -> None:
        fed.append(parts[1])
        if parts[1] == b"bad":
            raise AirliftError("bad")

    cases = [Case(feed, (b"a", b"b"))]
    count = run(cases, 0, 1, Kept((Input(0, 1, b"good"), Input(7, 1, b"bad"))))
    assert fed == [b"b", b"good", b"bad"]
    assert (count.fed, count.refused) == (2, 1)


def test_inputs_that_reach_more_are_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "FOLDER", tmp_path)
    with ThreadPoolExecutor(1) as pool:  # tracing is the thread's own: whoever measures coverage traces here
        inputs = pool.submit(corpus.collect, list(TARGETS["request"]()), 0.3, (b"null",)).result()
    assert inputs
    corpus.save("request", inputs)
    (tmp_path / "request.dict").write_text('"null"\n')
    assert corpus.load("request") == Kept(tuple(inputs), (b"null",))
