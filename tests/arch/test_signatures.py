"""No function takes eight parameters: values that travel together are one frozen value, made where they are known."""

from collections.abc import Iterator

from tests.arch.tree import Function, Module, functions, parse, violations

PARAMETERS = 7


def long_signatures(module: Module) -> Iterator[str]:
    for function in functions(module.tree):
        taken = len(parameters(function))
        if taken > PARAMETERS:
            yield f"{module.where(function)}: {function.name} takes {taken} parameters, limit {PARAMETERS}"


def parameters(function: Function) -> list[str]:
    """Return the names of all that a function takes; what a method belongs to is not counted."""
    given = function.args
    several = [one for one in (given.vararg, given.kwarg) if one is not None]
    named = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs, *several)]
    return [name for name in named if name not in {"self", "cls"}]


def test_signatures_are_short() -> None:
    assert violations(long_signatures) == []


def test_the_rule_itself() -> None:
    good = [
        "def f(a, b, c, d, e, f, g): ...",
        "def f(a, /, b, *, c, d, e, f, g): ...",
        "def f(a, b, c, d, e, *f, **g): ...",
        "class C:\n    def f(self, a, b, c, d, e, f, g): ...",
        "class C:\n    @classmethod\n    def f(cls, a, b, c, d, e, f, g): ...",
    ]
    bad = [
        "def f(a, b, c, d, e, f, g, h): ...",
        "def f(a, /, b, *, c, d, e, f, g, h): ...",
        "def f(a, b, c, d, e, f, *g, **h): ...",
        "async def f(*, a, b, c, d, e, f, g, h): ...",
        "class C:\n    def f(self, a, b, c, d, e, f, g, h): ...",
        "def outer():\n    def f(a, b, c, d, e, f, g, h=1): ...",
    ]
    assert [source for source in good if list(long_signatures(parse(source)))] == []
    assert [source for source in bad if not list(long_signatures(parse(source)))] == []
    assert "takes 8 parameters" in next(long_signatures(parse(bad[0])))
