"""The units of examples/systemd on a real systemd: the group switches with the link, as one, and back (SPEC 7.10)."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from airlift.policy.document import parse_policy
from tests.arch.tree import ROOT
from tests.cli.conftest import World
from tests.conftest import find_file, lacking
from tests.support.pages import blocks
from tests.support.serving_group import (
    AIRLIFT,
    ALWAYS,
    BETTER,
    BROKEN,
    EXAMPLES,
    GOOD,
    GROUP,
    GUARD,
    MODEL,
    PAGE,
    POLKIT,
    UNITS,
    Served,
    install,
    pack_all,
    serving_group,
)

PATIENCE = 60.0
MOMENT = 20
"""Questions of a client, one after the other, that may pass until systemd notices that a server died."""
VLLM, LLAMA = "airlift-vllm.service", "airlift-llama.service"
WATCH = EXAMPLES / "airlift-watch.service"
EXPOSURE = {"airlift-vllm.service": 1.0}
"""How exposed a unit may be at most, of 10: it needs a GPU's devices, and compiles what it runs."""
LITTLE = 0.8
SERVICES = [unit for unit in UNITS if unit.suffix == ".service" and unit.name != "airlift-watch.service"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> World:
    return pack_all(tmp_path_factory.mktemp("packed"))


@pytest.fixture(scope="module")
def started(packed: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving_group(tmp_path_factory.mktemp("machine"), packed) as served:
        yield served


@pytest.fixture
def served(started: Served) -> Served:
    """The machine, on which GOOD is active and served."""
    good = started.tree(1)
    if started.active() != good:
        started.activate(GOOD)
    assert started.serving() == (good, good)
    return started


def until(served: Served, holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, served.there.journal()
        time.sleep(0.2)


@contextmanager
def asking(served: Served) -> Iterator[list[list[str | None]]]:
    """Ask guard, model and guard again, all the while; what they said is there when the body has ended."""
    said: list[list[str | None]] = []
    process = subprocess.Popen(
        served.there.words("/usr/bin/python3", "-c", ALWAYS, MODEL, GUARD),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield said
    finally:
        out, _ = process.communicate(timeout=PATIENCE)
        said += [json.loads(line) for line in out.splitlines() if line.endswith("]")]


def mixed(said: list[list[str | None]]) -> list[list[str | None]]:
    """Return where the model answered between two answers of a guard of another release, or of none."""
    return [[before, model, after] for before, model, after in said if model and before == after != model]


# -- what systemd says of the units --------------------------------------------------------------------------------


def analyze(require_tool: Callable[[str], str], *words: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [require_tool("systemd-analyze"), *map(str, words)], capture_output=True, text=True, check=False
    )


def test_systemd_accepts_the_units(tmp_path: Path, require_tool: Callable[[str], str]) -> None:
    """With programs that are there in the place of the servers."""
    copies = []
    for unit in UNITS:
        text = unit.read_text()
        for program in ("vllm", "llama-server", "airlift"):
            text = text.replace(f"/usr/local/bin/{program}", "/bin/true")
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(text)
    said = analyze(require_tool, "verify", "--man=no", *copies)
    assert (said.returncode, said.stderr) == (0, "")


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_systemd_finds_the_units_little_exposed(unit: Path, require_tool: Callable[[str], str]) -> None:
    bound = str(round(EXPOSURE.get(unit.name, LITTLE) * 10))
    said = analyze(require_tool, "security", "--offline=yes", f"--threshold={bound}", "--no-pager", unit)
    assert said.returncode == 0, said.stdout + said.stderr


def test_the_policies_of_the_page_are_policies() -> None:
    shown, direct = (yaml.safe_load(block) for block in blocks(PAGE, "yaml"))
    shipped = yaml.safe_load((EXAMPLES / "policy.yaml").read_text())
    assert shown == shipped
    for document in (
        shipped,
        shown | direct,
        yaml.safe_load((ROOT / "examples/kubernetes/policy.yaml").read_text()),
    ):
        assert parse_policy(document).after
    restart = (EXAMPLES / "airlift-serve-restart.service").read_text()
    (bound,) = re.findall(r"^TimeoutStartSec=(\d+)$", restart, re.MULTILINE)
    units = [(EXAMPLES / unit).read_text() for unit in (VLLM, LLAMA)]
    servers = [int(re.findall(r"^TimeoutStartSec=(\d+)$", unit, re.MULTILINE)[0]) for unit in units]
    assert sum(servers) < int(bound) < parse_policy(shipped).after[0].timeout


# -- a switch ------------------------------------------------------------------------------------------------------


def test_the_group_serves_what_is_active(served: Served) -> None:
    assert served.active() is not None
    assert served.there.state(GROUP) == "active"


def test_an_activation_makes_it_serve_the_other_release_and_a_roll_back_this_one(served: Served) -> None:
    before = served.active()
    with asking(served) as said:
        served.activate(BETTER)
        after = served.active()
        assert after != before
        assert served.serving() == (after, after)
        served.airlift("high", "rollback", "--yes")
        assert served.active() == before
        assert served.serving() == (before, before)
    assert {model for _, model, _ in said} == {before, after, None}
    assert mixed(said) == []


def test_a_release_whose_server_does_not_come_up_is_taken_back(served: Served) -> None:
    before = served.active()
    with asking(served) as said:
        refused = served.airlift("high", "activate", BROKEN, code=6)
        assert refused["error"]["code"] == "hook-failed"
        assert "the servers did not come up" in refused["data"]["said"]
        assert served.active() == before
        assert served.serving() == (before, before)
    assert {model for _, model, _ in said} == {before, None}
    assert (
        len({guard for guard, *_ in said} - {None, before}) == 1
    )  # the guard of the broken one had come up, alone
    assert mixed(said) == []
    entries = served.airlift("provenance", "history")["data"]["entries"]
    assert entries[-1]["type"] == "abort"
    assert served.airlift("high", "status")["data"]["active"] == GOOD


# -- between switches ----------------------------------------------------------------------------------------------


def test_a_guard_that_dies_takes_the_model_down_until_it_is_back(served: Served) -> None:
    with asking(served) as said:
        guard = served.there.state(LLAMA, "MainPID")
        served.there.do("systemctl", "kill", "--signal=KILL", LLAMA)
        until(served, lambda: served.there.state(LLAMA, "MainPID") not in {guard, "0"})
        until(served, lambda: served.serving() == (served.active(), served.active()))
    assert any(model is None for _, model, _ in said)
    alone = mixed(said)
    assert {before for before, *_ in alone} <= {
        None
    }  # until systemd notices: for a moment, and never beside another
    assert len(alone) <= MOMENT
    until(served, lambda: served.there.state(GROUP) == "active")


def test_a_model_that_dies_comes_back_beside_its_guard(served: Served) -> None:
    with asking(served) as said:
        kill_model(served)
    assert served.serving() == (served.active(), served.active())
    assert mixed(said) == []


def kill_model(served: Served) -> None:
    """Let the model's server die, and wait until it is back."""
    model = served.there.state(VLLM, "MainPID")
    served.there.do("systemctl", "kill", "--signal=KILL", VLLM)
    until(served, lambda: served.there.state(VLLM, "MainPID") not in {model, "0"})
    until(served, lambda: None not in served.serving())


@contextmanager
def moved(served: Served, version: int | None) -> Iterator[None]:
    """Let the link lead to another release, or be gone, as within a switch before the group hears of it."""
    place = "/srv/airlift/enclave/active"
    link = served.there.do("readlink", place).strip()
    other = link.replace(str(served.active()), served.tree(version)) if version else ""
    served.there.shell(f"ln -sfn {other} {place}" if other else f"rm {place}")
    try:
        yield
    finally:
        served.there.do("ln", "-sfn", link, place)
        served.there.do("systemctl", "restart", GROUP)


def test_a_server_that_dies_while_the_link_has_moved_is_never_beside_one_of_another_release(
    served: Served,
) -> None:
    """Systemd 252 restarts the group with it (its restart propagates), others may restart it alone."""
    with moved(served, 2), asking(served) as said:
        kill_model(served)
        model, guard = served.serving()
        assert model == guard
    assert mixed(said) == []


def test_nothing_is_served_when_nothing_is_active(served: Served) -> None:
    with moved(served, None):
        assert served.there.run("systemctl", "restart", GROUP).returncode == 1
        assert served.serving() == (None, None)
        assert "nothing is active" in served.there.journal()


def test_restarts_in_quick_succession_all_take_place(served: Served) -> None:
    """By default systemd refuses the sixth start in ten seconds, of the release before that of any server."""
    place = "/run/airlift-serve/release"
    for _ in range(7):
        served.there.do("systemctl", "restart", "airlift-serve-release.service")
    served.there.do("systemctl", "restart", GROUP)
    assert Path(served.there.do("readlink", "-f", place).strip()).name == served.active()
    assert served.serving() == (served.active(), served.active())


def test_after_a_release_that_failed_only_a_restart_brings_the_group_back(served: Served) -> None:
    with moved(served, 3):
        assert served.there.run("systemctl", "restart", GROUP).returncode == 1
        served.there.do("systemctl", "try-restart", GROUP)
        assert served.there.state(GROUP) != "active"
    assert served.serving() == (served.active(), served.active())


def test_a_server_that_never_answers_fails_after_its_time(served: Served) -> None:
    place = f"/etc/systemd/system/{VLLM}.d"
    lines = "[Service]\\nTimeoutStartSec=3\\nExecStart=\\nExecStart=/bin/sleep 600\\n"
    served.there.shell(f"mkdir -p {place}; printf '{lines}' > {place}/test.conf; systemctl daemon-reload")
    try:
        begun = time.monotonic()
        assert served.there.run("systemctl", "restart", GROUP).returncode == 1
        assert time.monotonic() - begun > 3
    finally:
        served.there.shell(f"rm -r {place}; systemctl daemon-reload; systemctl restart {GROUP}")


def test_systemd_does_not_notice_that_a_link_was_replaced(served: Served) -> None:
    """Why requests are files that are there: a path unit that watches the link stays silent."""
    served.there.shell(
        "printf '[Path]\\nPathChanged=/srv/airlift/enclave/active\\n' > /etc/systemd/system/seen.path\n"
        "printf '[Service]\\nType=oneshot\\nExecStart=/bin/true\\n' > /etc/systemd/system/seen.service\n"
        "systemctl daemon-reload && systemctl start seen.path"
    )
    with moved(served, 2):
        time.sleep(2)
    assert served.there.state("seen.path") == "active"
    assert served.there.state("seen.service", "ExecMainStartTimestampMonotonic") == "0"
    served.there.do("systemctl", "stop", "seen.path")


def test_a_request_that_comes_while_one_is_answered_is_answered_after_it(served: Served) -> None:
    ask = ("timeout", "45", "/usr/bin/python3", EXAMPLES / "serve.py", "ask", "/srv/airlift/serve")
    first = subprocess.Popen(served.there.words(*ask, user=AIRLIFT), stdout=subprocess.DEVNULL)
    until(served, lambda: served.there.state("airlift-serve-restart.service") == "activating")
    until(served, lambda: served.there.run("test", "-e", "/srv/airlift/serve/taken").returncode == 0)
    assert "the servers answer" in served.there.do(*ask, user=AIRLIFT)
    assert first.wait(PATIENCE) == 0
    assert served.serving() == (served.active(), served.active())


def test_a_request_that_nobody_takes_is_no_success(served: Served) -> None:
    served.there.do("systemctl", "stop", "airlift-serve-restart.path")
    try:
        said = served.there.run(
            "/usr/bin/python3", EXAMPLES / "serve.py", "ask", "/srv/airlift/serve", user=AIRLIFT
        )
        assert said.returncode == 1
        assert "nobody takes the request: is airlift-serve-restart.path started?" in said.stderr
        assert served.there.run("test", "-e", "/srv/airlift/serve/request").returncode == 1
    finally:
        served.there.do("systemctl", "start", "airlift-serve-restart.path")


# -- llama.cpp itself -----------------------------------------------------------------------------------------------

SAY = """
import json, sys, urllib.request
asked = {"prompt": "Hello", "n_predict": 8, "temperature": 0, "seed": 1, "return_tokens": True}
plain = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with plain.open(sys.argv[1] + "/completion", json.dumps(asked).encode(), timeout=20) as answer:
    print(json.load(answer)["tokens"])
"""


def test_llama_cpp_itself_works_in_its_unit(served: Served, tmp_path: Path) -> None:
    """The real engine, with all that the unit denies it, says something else after a switch."""
    python = find_file("AIRLIFT_LAYOUT_READERS", "a Python with xllamacpp")
    base = subprocess.run(
        [python, "-c", "import sys; print(sys.base_prefix)"], capture_output=True, text=True, check=True
    ).stdout.strip()
    there, place = served.there, f"/etc/systemd/system/{LLAMA}.d"
    program = tmp_path / "llama-server"
    script = ROOT / "tests/support/llama_server.py"
    program.write_text(f'#!/bin/sh\nexec {python} {script} "$@"\n')
    shown = "".join(f"\\nBindReadOnlyPaths={item}" for item in (python.parent.parent, base))
    there.shell(
        f"mkdir -p {place}; printf '[Service]\\nProtectHome=tmpfs{shown}\\n' > {place}/test.conf\n"
        "systemctl daemon-reload; cp /usr/local/bin/llama-server /usr/local/bin/kept"
    )
    install(there, str(program), "llama-server")
    try:
        there.do("systemctl", "restart", GROUP)
        first = there.do("/usr/bin/python3", "-c", SAY, GUARD)
        with moved(served, 2):
            there.do("systemctl", "restart", GROUP)
            assert there.do("/usr/bin/python3", "-c", SAY, GUARD) != first
        assert there.do("/usr/bin/python3", "-c", SAY, GUARD) == first
    finally:
        there.shell(
            f"mv /usr/local/bin/kept /usr/local/bin/llama-server; rm -r {place}; systemctl daemon-reload"
        )
        there.do("systemctl", "restart", GROUP)


# -- rights --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [VLLM, LLAMA])
def test_a_server_sees_the_releases_and_no_network(served: Served, unit: str) -> None:
    process = served.there.state(unit, "MainPID")
    inside = ("nsenter", "--target", process, "--mount", "--net", "--")
    assert served.there.do(*inside, "ls", "-A", "/srv", "/srv/airlift", "/srv/airlift/enclave").split() == [
        "/srv:", "airlift", "/srv/airlift:", "enclave", "/srv/airlift/enclave:", "releases",
    ]  # fmt: skip
    assert served.there.run(*inside, "touch", "/srv/airlift/enclave/releases/x").returncode != 0
    assert served.there.run(*inside, "touch", "/usr/local/x").returncode != 0
    links = served.there.do(*inside, "cat", "/proc/net/dev").splitlines()[2:]
    assert [line.split(":")[0].strip() for line in links] == ["lo"]
    user = served.there.do("stat", "--format=%u", f"/proc/{process}").strip()
    assert int(user) >= 61184  # a user of this start alone (systemd.exec(5), DynamicUser)


def test_polkit_lets_the_user_restart_the_group_and_nothing_else(served: Served) -> None:
    there = served.there
    if there.run("test", "-x", "/usr/lib/polkit-1/polkitd").returncode:
        lacking("polkit is not installed")
    there.do("systemctl", "start", "dbus.service", "polkit.service")
    restart = ("systemctl", "--no-ask-password", "restart", GROUP)
    assert there.run(*restart, user=AIRLIFT).returncode != 0
    there.page(POLKIT)
    until(served, lambda: there.run(*restart, user=AIRLIFT).returncode == 0)
    for verb, unit in (
        ("stop", GROUP),
        ("start", GROUP),
        ("restart", "airlift-vllm.service"),
        ("restart", "dbus.service"),
    ):
        said = there.run("systemctl", "--no-ask-password", verb, unit, user=AIRLIFT)
        assert said.returncode != 0, f"{verb} {unit}"
    assert there.run("systemctl", "--no-ask-password", "restart", GROUP, user="nobody").returncode != 0
    assert served.serving() == (served.active(), served.active())


def test_what_lies_in_the_folder_of_requests_gets_nothing_but_a_restart(served: Served) -> None:
    """The user airlift puts links to files of root there: they are neither read nor written."""
    served.there.shell(
        "cd /srv/airlift/serve && echo kept > /var/kept && chmod 600 /var/kept\n"
        "ln -s /var/kept request.new && ln -sfn /var/kept answer && ln -sfn /var/kept taken\n"
        "mv -T request.new request"
    )
    until(served, lambda: served.there.run("test", "-e", "/srv/airlift/serve/request").returncode != 0)
    until(served, lambda: served.there.state("airlift-serve-restart.service") in {"inactive", "failed"})
    assert served.there.do("cat", "/var/kept") == "kept\n"
    until(served, lambda: served.serving() == (served.active(), served.active()))
    served.activate(BETTER)
    assert served.serving() == (served.active(), served.active())


def test_the_watcher_in_its_sandbox_switches_the_group(served: Served) -> None:
    """airlift-watch.service may call nobody; the same policy restarts the group, and hears how that ended."""
    there, before = served.there, served.active()
    there.shell(
        "groupadd -f diode\n"
        "install -d -o airlift -g diode -m 2770 /srv/airlift/drop\n"
        "install -d -o airlift -g airlift /srv/airlift/metrics\n"
        "mkdir -p /etc/systemd/system/airlift-watch.service.d\n"
    )
    there.shell(
        f"printf '%s' {shlex.quote(drop_in())} > /etc/systemd/system/airlift-watch.service.d/test.conf"
    )
    there.do("systemctl", "daemon-reload")
    there.do("systemctl", "start", "airlift-watch.service")
    try:
        there.shell(
            "cp -r /srv/media/media-4/* /srv/airlift/drop && chown -R airlift:diode /srv/airlift/drop"
        )
        until(served, lambda: '"event": "activated"' in there.journal())
        assert served.active() == served.tree(4) != before
        assert served.serving() == (served.active(), served.active())
    finally:
        there.do("systemctl", "stop", "airlift-watch.service")


def drop_in() -> str:
    """Let the watcher see this Python and these sources, and not wait for volumes to settle."""
    shown = [
        sys.prefix,
        sys.base_prefix,
        str(ROOT),
        *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)),
    ]
    lines = ["[Service]", "ProtectHome=no", *(f"BindReadOnlyPaths={place}" for place in shown), "ExecStart="]
    (command,) = re.findall(r"^ExecStart=(.*)$", WATCH.read_text().replace("\\\n", " "), re.MULTILINE)
    return "\n".join([*lines, f"ExecStart={command} --interval 0.5 --settle 1", ""])
