"""What the low side and the high side both do stands once, in a room below them: no long run of lines in both.

Lines are compared names aside: one name, text or number is as good as another. Imports, docstrings and comments do
not count, and neither does where a statement is broken into lines. A field of a class is nothing but a name and its
type, so there the type must be the same.
"""

import ast
import io
import keyword
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest

from tests.arch.tree import FOLDER

LINES = 10

_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
_CLOSING = {")", "]", "}"}


@dataclass(frozen=True, slots=True)
class Statement:
    """A simple statement or the head of a compound one: its shape, names aside, and its lines ``[first, last]``."""

    shape: str
    first: int
    last: int

    @property
    def lines(self) -> int:
        """How many lines of the source it takes up."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Run:
    """Statements of one source that stand in another one too: the lines ``[first, last]`` in both, and how many."""

    here: tuple[int, int]
    there: tuple[int, int]
    lines: int


def statements(source: str) -> tuple[Statement, ...]:
    """Return the statements of a source that count, in order."""
    left_out, found = _left_out(source), []
    held: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NEWLINE:
            first, last = held[0].start[0], held[-1].end[0]
            if first not in left_out:
                found.append(Statement(_shape(held), first, last))
            held = []
        elif token.type not in _LAYOUT:
            held.append(token)
    return tuple(found)


def runs(here: Sequence[Statement], there: Sequence[Statement], lines: int = LINES) -> Iterator[Run]:
    """Yield the longest runs of ``lines`` lines or more that both have; the side with fewer lines counts."""
    places: dict[str, list[int]] = {}
    for number, statement in enumerate(there):
        places.setdefault(statement.shape, []).append(number)
    for i, statement in enumerate(here):
        for j in places.get(statement.shape, ()):
            if i and j and here[i - 1].shape == there[j - 1].shape:
                continue  # part of a longer run
            count = _alike(here[i:], there[j:])
            run = _run(here[i : i + count], there[j : j + count])
            if run.lines >= lines:
                yield run


def _alike(here: Sequence[Statement], there: Sequence[Statement]) -> int:
    """Return how many statements both begin with."""
    pairs = enumerate(zip(here, there, strict=False))
    return next((number for number, (a, b) in pairs if a.shape != b.shape), min(len(here), len(there)))


def _run(here: Sequence[Statement], there: Sequence[Statement]) -> Run:
    return Run(
        (here[0].first, here[-1].last),
        (there[0].first, there[-1].last),
        min(sum(item.lines for item in here), sum(item.lines for item in there)),
    )


def _shape(tokens: Sequence[tokenize.TokenInfo]) -> str:
    words = [_word(token) for token in tokens]
    if words[:2] == ["_", ":"]:
        words[2:] = [token.string for token in tokens[2:]]
    following = [*words[1:], ""]
    return " ".join(a for a, b in zip(words, following, strict=True) if not (a == "," and b in _CLOSING))


def _word(token: tokenize.TokenInfo) -> str:
    is_name = token.type == tokenize.NAME and not keyword.iskeyword(token.string)
    return "_" if is_name or token.type in {tokenize.STRING, tokenize.NUMBER} else token.string


def _left_out(source: str) -> set[int]:
    """Return the lines that imports and docstrings begin on."""
    return {
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    }


def _side(room: str) -> Mapping[str, tuple[Statement, ...]]:
    paths = sorted((FOLDER / room).rglob("*.py"))
    return {str(path.relative_to(FOLDER)): statements(path.read_text(encoding="utf-8")) for path in paths}


def test_nothing_long_stands_on_both_sides() -> None:
    low, high = _side("low"), _side("high")
    assert low
    assert high
    found = [
        f"{one}:{run.here[0]}-{run.here[1]} stands in {other}:{run.there[0]}-{run.there[1]} too"
        for one, mine in low.items()
        for other, theirs in high.items()
        for run in runs(mine, theirs)
    ]
    assert found == []


FIRST = '''
def keep(self, document, digest):
    """Keep a document."""
    path = self.history / name(digest)
    if not path.exists():
        write(path, document, mode=0o444)
'''
RENAMED = '''
# another comment

def store(depot, data, sha512):

    """Another docstring,
    which is longer.
    """

    from airlift import files
    place = depot.documents / label(sha512)  # where it goes
    if not place.exists():
        save(
            place,
            data,
            mode=0o644,
        )
'''
FIELDS = "class A:\n    one: int\n    two: str\n    three: Path\n"


@pytest.mark.parametrize(
    ("here", "there", "lines"),
    [
        (FIRST, RENAMED, 4),
        (f"x = 1\n{FIRST}", f"y(2)\n{RENAMED}", 4),
        (f"x = 1\n{FIRST}\ny = [1]\n", f"z = 'a'\n{RENAMED}\nz = [q]", 6),
        (FIELDS, FIELDS.replace("one", "uno").replace("A", "B"), 4),
    ],
)
def test_bad_examples(here: str, there: str, lines: int) -> None:
    assert [run.lines for run in runs(statements(here), statements(there), lines)] == [lines]
    assert list(runs(statements(here), statements(there), lines + 1)) == []
    assert [run.lines for run in runs(statements(there), statements(here), lines)] == [lines]


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (FIRST, FIRST.replace("if not path", "if path")),
        (FIRST, FIRST.replace("path, document", "path, document, digest")),
        (FIRST, FIRST.replace("    if not", "    digest += 1\n    if not")),
        (FIELDS, FIELDS.replace("str", "bytes")),
        ('"""One."""\nimport a\nimport b\nimport c\n', '"""Two."""\nimport d\nimport e\nimport f\n'),
        ("", FIRST),
    ],
)
def test_good_examples(here: str, there: str) -> None:
    assert list(runs(statements(here), statements(there), 4)) == []


def test_places_are_told_in_lines_of_the_source() -> None:
    (run,) = runs(statements(FIRST), statements(RENAMED), 4)
    assert (run.here, run.there) == ((2, 6), (4, 17))
