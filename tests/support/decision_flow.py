"""A flow through all that decides, in a process of its own: ``python decision_flow.py KIND SCENE.json``.

An audit hook notes every file that is opened while one of :data:`JUDGES` is at work, and which. What is noted is held
against the ledger afterwards, by whoever started it. With the kind ``seeded`` policy is made to look at a file that
nobody signed.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
JUDGES = (
    "airlift.high.governance.gate:import_refusals",
    "airlift.high.governance.gate:rule_import",
    "airlift.high.governance.gate:new_release_refusals",
    "airlift.high.governance.gate:rule_new_release",
    "airlift.high.governance.gate:replay_refusals",
    "airlift.high.governance.gate:activation_refusals",
    "airlift.high.governance.gate:Gate.judge",
    "airlift.high.enclave.revoked:in_force",
    "airlift.high.enclave.revoked:findings",
    "airlift.high.governance.approve:_listed",
    "airlift.high.governance.approve:judge_release",
    "airlift.high.governance.consent:sign",
    "airlift.high.governance.floor:_consented",
    "airlift.high.relaying.relay:look_at",
    "airlift.high.relaying.store:look_at",
    "airlift.high.enclave.gc:hopeless",
)
"""What takes decisions: where it is called from, and its name there."""

NO_READING = os.O_WRONLY | os.O_RDWR | os.O_DIRECTORY
DECIDING: list[str] = []
OPENED: set[tuple[str, str]] = set()
ASKED: set[str] = set()


def note(event: str, given: tuple[Any, ...]) -> None:
    """Note what is opened to be read while somebody decides."""
    if not DECIDING or event not in {"open", "sqlite3.connect"}:
        return
    place = given[0]
    if isinstance(place, int) or (event == "open" and given[2] & NO_READING):
        return
    if sys._getframe(1).f_code.co_filename == shutil.__file__:
        return  # a folder that is being removed, by its name alone
    OPENED.add((DECIDING[0], os.fsdecode(place)))


def watched(name: str, judge: Callable[..., Any]) -> Callable[..., Any]:
    """Return a judge that says when it is at work."""

    @wraps(judge)
    def call(*given: Any, **named: Any) -> Any:
        ASKED.add(name)
        DECIDING.append(name)
        try:
            return judge(*given, **named)
        finally:
            DECIDING.pop()

    return call


def watch() -> None:
    """Have every judge say when it is at work."""
    for name in JUDGES:
        module, _, path = name.partition(":")
        *owners, last = path.split(".")
        owner: Any = import_module(module)
        for part in owners:
            owner = getattr(owner, part)
        setattr(owner, last, watched(name, getattr(owner, last)))
    sys.addaudithook(note)


def seed() -> None:
    """Have policy look at what nobody signed."""
    from airlift import files
    from airlift.high.enclave import policy
    from airlift.high.enclave.enclave import Enclave
    from airlift.ledger.enclave_folder import CONFIG
    from airlift.ledger.state import State
    from airlift.policy.document import Policy

    load = policy.load

    def seeded(enclave: Enclave, state: State) -> Policy:
        files.read_bounded(enclave.folder / CONFIG, 1 << 16)
        return load(enclave, state)

    policy.load = seeded


def flow(scene: dict[str, Any]) -> None:
    """Plan, import, approve, activate, set floors, hand on, revoke, fall back, roll back, collect."""
    from airlift.errors import AirliftError
    from airlift.high.activation.activate import activate, roll_back
    from airlift.high.activation.change_policy import change_policy
    from airlift.high.enclave.enclave import Operator, open_enclave
    from airlift.high.enclave.gc import collect_garbage
    from airlift.high.governance.approve import approve
    from airlift.high.governance.floor import FloorRequest, set_floor
    from airlift.high.importing.import_bundle import import_bundle
    from airlift.high.importing.preview import plan_import
    from airlift.high.relaying.relay import RelayRequest, relay
    from airlift.high.relaying.store import store
    from airlift.trust.keys.load import load_signer

    place, keys = open_enclave(Path(scene["enclave"])), Path(scene["keys"])
    people = [load_signer(str(keys / f"{name}.key")) for name in ("ann", "ben")]
    operator = Operator("judged", load_signer(str(keys / "ledger.key")), NOW)
    late = Operator("judged", operator.signer, NOW + timedelta(days=20))
    media = {name: [Path(path) for path in paths] for name, paths in scene["media"].items()}

    def refused(act: Callable[[], object], code: str) -> None:
        try:
            act()
        except AirliftError as error:
            if error.code == code:
                return
            raise
        raise AssertionError(f"{code} was expected")

    plan_import(place, media["first"], NOW)
    refused(lambda: import_bundle(place, media["first"], operator=operator, activate=True), "quorum-unmet")
    import_bundle(place, media["first"], operator=operator)
    refused(lambda: activate(place, "assistant@1", operator=operator), "quorum-unmet")
    approve(place, "assistant@1", signer=people[0], operator=operator)
    activate(place, "assistant@1", operator=operator)
    import_bundle(place, media["second"], operator=operator)
    approve(place, "assistant@3", signer=people[1], operator=operator)
    import_bundle(place, media["second"], operator=operator, activate=True)  # once more: a replay
    set_floor(place, FloorRequest("guard", "2.2", "why"), operator=operator)
    refused(lambda: roll_back(place, operator=operator), "below-floor")
    set_floor(place, FloorRequest("guard", "2.0", "why", people), operator=operator)
    store(place, media["bravo"], operator=operator)
    relay(place, RelayRequest("bravo", Path(scene["output"])), operator=operator)
    import_bundle(place, media["renewal"], operator=operator)
    if open_enclave(place.folder).state().active != scene["first"]:
        raise AssertionError("a revoked release is still active")
    refused(lambda: activate(place, "assistant@3", operator=operator), "revoked")
    change_policy(place, Path(scene["policy"]), operator=late)
    refused(lambda: activate(place, "assistant@1", operator=late), "stale")
    (place.staging / ("f" * 64)).mkdir(parents=True)
    collect_garbage(place, operator=late)


def main() -> None:
    """Run the flow, and print what was opened, and which judges were asked."""
    kind, scene = sys.argv[1:]
    watch()
    if kind == "seeded":
        seed()
    flow(json.loads(Path(scene).read_bytes()))
    sys.stdout.write(json.dumps({"opened": sorted(OPENED), "asked": sorted(ASKED)}))


if __name__ == "__main__":
    main()
