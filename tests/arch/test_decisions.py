"""No decision of policy reads the clock, the environment, the network or chance: by the source of what decides.

What a decision may know comes in as arguments. ``now`` is one of them, and never decides by itself: it is handed on
until :func:`reference_time` or :func:`latest_moment` has held it against signed times and the ledger (SPEC 7.2-3,
8.2-12). That nothing unsigned is read either is seen in tests/arch/test_what_decides.py, while decisions are taken.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache

import pytest

from tests.arch.tree import Module, Rule, dotted, functions, modules, parse, violations

DECIDING = (
    "airlift.policy",
    "airlift.high.activation",
    "airlift.high.governance",
    "airlift.high.importing",
    "airlift.high.enclave.age",
    "airlift.high.enclave.outlook",
    "airlift.high.enclave.policy",
    "airlift.high.enclave.revoked",
    "airlift.high.relaying.judge",
    "airlift.high.verification.verify_bundle",
    "airlift.low.bundle.check_policy",
    "airlift.low.depot.policy",
)
"""Where it is decided what comes in, runs, is handed on or is sent."""

ESTIMATE, STOPWATCH = "airlift.high.importing.expectation", "time.perf_counter"
"""What a plan says about how long an import takes is measured, and decides nothing (SPEC 7.11)."""
LOW_SIDE = "airlift.low.bundle.check_policy"
"""There the reference time is the clock: it keeps people from sending what would not run (SPEC L4.15)."""

OUTSIDE = {
    "asyncio", "ctypes", "getpass", "http", "httpx", "huggingface_hub", "importlib", "locale", "platform", "random",
    "requests", "secrets", "select", "socket", "ssl", "time", "urllib", "urllib3", "uuid",
}  # fmt: skip
READS = {
    "environ", "environb", "getenv", "getenvb", "getlogin", "getmtime", "getctime", "getatime", "getrandom",
    "urandom", "utcnow", "today", "st_atime", "st_atime_ns", "st_ctime", "st_ctime_ns", "st_mtime",
    "st_mtime_ns", "__import__", "eval", "exec",
}  # fmt: skip
NOW = "now"
HELD = frozenset({"latest_moment", "reference_time", "_moment", "_reference_time"})
"""Functions that return a time which the clock alone does not make."""
HOLDING = "reference_time or latest_moment"
MOMENTS = frozenset({"moment", "reference", "reference_time"})
"""What such a time is called where it is handed on."""
JUDGES = frozenset({"Case", "Freshness", "import_rulings", "import_objections", "verify_metadata"})
"""What takes such a time."""
DATES = frozenset({"parse_time", "expiry_of", "made_at"})


# -- the rules -------------------------------------------------------------------------------------------------------


def outside_sources(module: Module) -> Iterator[str]:
    """Find what a module that decides takes from outside: clocks, chance, environment, network, times of files."""
    if not module.inside(*DECIDING):
        return
    for node in ast.walk(module.tree):
        for name in _sources(node):
            if not (module.name == ESTIMATE and name in {"time", STOPWATCH}):
                yield f"{module.where(node)} uses {name}: a decision is made of its arguments"  # type: ignore[arg-type]


def _sources(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in OUTSIDE)
    elif isinstance(node, ast.ImportFrom):
        if (node.module or "").partition(".")[0] in OUTSIDE:
            yield node.module or ""
        yield from (alias.name for alias in node.names if alias.name in READS)
    elif isinstance(node, ast.Attribute):
        if node.attr in READS or dotted(node).partition(".")[0] in OUTSIDE:
            yield dotted(node)
    elif isinstance(node, ast.Name) and node.id in READS:
        yield node.id


def moments(module: Module) -> Iterator[str]:
    """Find where ``now`` is used for anything but to be handed on as what it is, or written down."""
    if not module.inside(*DECIDING):
        return
    handed = {id(node) for node in _handed_on(module)}
    for node in ast.walk(module.tree):
        if _is_now(node) and id(node) not in handed:
            yield f"{module.where(node)}: `now` decides here; ask {HOLDING}"  # type: ignore[arg-type]
        elif isinstance(node, ast.Assign) and _makes_now(node):
            yield f"{module.where(node)}: `now` is made here, and is to come in as an argument"


def _handed_on(module: Module) -> Iterator[ast.AST]:
    takers = _takers() | ({"Case"} if module.name == LOW_SIDE else set())
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in takers:
            yield from (*node.args, *(item.value for item in node.keywords))
        elif isinstance(node, ast.Assign) and [dotted(one) for one in node.targets] == [NOW]:
            yield node.value


def _makes_now(node: ast.Assign) -> bool:
    return any(dotted(one) == NOW for one in node.targets) and not _is_now(node.value)


def _is_now(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == NOW
    return isinstance(node, ast.Name) and node.id == NOW and isinstance(node.ctx, ast.Load)


@cache
def _takers() -> frozenset[str]:
    """Return what takes ``now``: functions with such a parameter, classes with such a field, what writes times."""
    found = {"format_time", "cls"}
    for module in modules():
        for function in functions(module.tree):
            given = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
            found |= {function.name for one in given if one.arg == NOW}
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                fields = (item.target for item in node.body if isinstance(item, ast.AnnAssign))
                found |= {node.name for field in fields if dotted(field) == NOW}
    return frozenset(found)


def ages(module: Module) -> Iterator[str]:
    """Find an age, or a comparison of times, that another time is taken for than those of :data:`HELD`."""
    if not module.inside(*DECIDING) or module.name == LOW_SIDE:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and _is_date(node.right):
            if not _is_held(node.left):
                yield f"{module.where(node)}: an age is taken of a time that nothing was held against"
        elif isinstance(node, ast.Compare):
            sides = (node.left, *node.comparators)
            if any(map(_is_date, sides)) and not any(map(_is_held, sides)):
                yield f"{module.where(node)}: times are compared, and none was held against what is signed"
    for function in functions(module.tree):
        yield from (f"{module.where(node)}: {what}" for node, what in _unheld(function))


def _unheld(function: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """Yield the times that a judge is given, and that are not held against anything."""
    made: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for name, value in _pairs(node):
                made.setdefault(name, []).append(value)
    for name in MOMENTS - {"reference"}:  # which a release is named by as well
        yield from (
            (value, f"`{name}` is not of {HOLDING}") for value in made.get(name, ()) if not _is_held(value)
        )
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in JUDGES:
            for value in _times(node):
                sources = made.get(value.id, [value]) if isinstance(value, ast.Name) else [value]
                if not all(map(_is_held, sources)):
                    yield value, f"this time is judged by, and is not of {HOLDING}"


def _times(call: ast.Call) -> Iterator[ast.expr]:
    """Yield what a judge is given as the time: by keyword, or as the third argument."""
    yield from (item.value for item in call.keywords if item.arg in MOMENTS)
    if dotted(call.func).rpartition(".")[2].startswith("import_"):
        yield from call.args[2:3]


def _pairs(node: ast.Assign) -> Iterator[tuple[str, ast.expr]]:
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(map(dotted, target.elts), node.value.elts, strict=False)
        else:
            yield dotted(target), node.value


def _is_date(node: ast.expr) -> bool:
    """Say whether an expression is a time that somebody signed or wrote, or holds one."""
    calls = (one for one in ast.walk(node) if isinstance(one, ast.Call))
    named = node.attr if isinstance(node, ast.Attribute) else ""
    return named == "issued" or any(dotted(one.func).rpartition(".")[2] in DATES for one in calls)


def _is_held(node: ast.expr) -> bool:
    """Say whether an expression is a time that was held against signed times, or the later of one and others."""
    if isinstance(node, ast.Call):
        called = dotted(node.func).rpartition(".")[2]
        return called in HELD or (called == "max" and any(map(_is_held, node.args)))
    if isinstance(node, ast.BinOp):
        return _is_held(node.left)
    if isinstance(node, ast.IfExp):
        return _is_held(node.body) and _is_held(node.orelse)
    return dotted(node).rpartition(".")[2] in MOMENTS


RULES = (outside_sources, moments, ages)


# -- the tree, and the rules themselves ------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.__name__))
def test_what_decides_follows(rule: Rule) -> None:
    assert violations(rule) == []


def test_every_place_that_decides_is_there() -> None:
    """A room that moved would be looked at no more."""
    names = [module.name for module in modules()]
    assert [room for room in DECIDING if not any(f"{name}.".startswith(f"{room}.") for name in names)] == []


def test_the_exceptions_are_needed_and_nothing_more() -> None:
    found = {module.name: module for module in modules()}
    plain = Module("airlift.policy.example", found[ESTIMATE].tree)
    assert [text.split(" uses ")[1].partition(":")[0] for text in outside_sources(plain)] == [
        "time", STOPWATCH, STOPWATCH,
    ]  # fmt: skip
    assert len(list(moments(Module("airlift.policy.example", found[LOW_SIDE].tree)))) == 1
    users = [name for name, module in found.items() if "expect" in _imported(module, ESTIMATE)]
    assert users == ["airlift.high.importing.preview"], "an import asks for no estimate"


def _imported(module: Module, source: str) -> set[str]:
    """Return what a module imports from another."""
    nodes = (node for node in ast.walk(module.tree) if isinstance(node, ast.ImportFrom))
    return {alias.name for node in nodes if node.module == source for alias in node.names}


BAD: Mapping[Rule, tuple[str, ...]] = {
    outside_sources: (
        "import time\n",
        "from time import monotonic\n",
        "import urllib.request\n",
        "import secrets\n",
        "from os import environ\n",
        "import os\nif os.environ.get('AIRLIFT_LENIENT'): ...\n",
        "import os\nos.getenv('X')\n",
        "from datetime import datetime\ndatetime.utcnow()\n",
        "from datetime import date\ndate.today()\n",
        "path.stat().st_mtime\n",
        "os.path.getmtime(path)\n",
        "__import__('time').time()\n",
        "def late():\n    import socket\n",
    ),
    moments: (
        "from datetime import datetime\nnow = datetime.now()\n",
        "import datetime as d\nd.datetime.now(d.UTC)\n",
        "field(default_factory=datetime.now)\n",
        "def f(now): return now > limit\n",
        "def f(operator): return operator.now - issued\n",
        "def f(now): return max(now, issued)\n",
        "def f(now):\n    moment = now\n    return judge(moment)\n",
        "def f(now): return Freshness(issued, now, 0)\n",
        "def f(state, now=parse_time(text)):\n    now = parse_time(state.moment)\n",
        "def f(now): return [now]\n",
    ),
    ages: (
        "def f(clock): return clock - parse_time(bundle.issued) > timedelta(days=3)\n",
        "def f(told): return told < parse_time(text)\n",
        "def f(told): return Freshness(issued=a, moment=told, behind=0)\n",
        "def f(told):\n    reference = told\n    return Case(reference=reference)\n",
        "def f(told): return import_rulings(bundle, rules, told, release)\n",
        "def f(clock): return clock - bundle.issued\n",
        "def f(clock):\n    moment = clock\n    return moment - bundle.issued\n",
        "def f(clock): return Case(reference=min(latest_moment(state, now, keys), clock))\n",
    ),
}  # fmt: skip
GOOD: Mapping[Rule, tuple[str, ...]] = {
    outside_sources: ("from datetime import datetime, timedelta\n", "import os\nos.lstat(path).st_size\n"),
    moments: (
        "def f(operator): return latest_moment(state, operator.now, keys)\n",
        "def f(now): return reference_time(state, now, keys)\n",
        "def f(run):\n    now = run.operator.now\n    return stage(run, now=now)\n",
        "def f(operator): return {'time': format_time(operator.now)}\n",
    ),
    ages: (
        "def f(): return reference_time(state, now, keys) - parse_time(bundle.issued) > timedelta(days=3)\n",
        "def f():\n    moment = latest_moment(state, now, keys)\n    return Freshness(moment=moment)\n",
        "def f(): return Case(reference=max(latest_moment(state, now, keys), parse_time(issued)))\n",
        "def f(case): return case.reference - parse_time(time) > timedelta(days=3)\n",
    ),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.__name__))
def test_the_rules_find_seeded_faults(rule: Rule) -> None:
    inside = DECIDING[0] + ".example"
    assert [source for source in BAD[rule] if not list(rule(parse(source, inside)))] == []
    assert [source for source in GOOD[rule] if list(rule(parse(source, inside)))] == []
    assert [source for source in BAD[rule] if list(rule(parse(source, "airlift.cli.example")))] == []
