"""The whole high-side flow in a process of its own: ``python high_flow.py GUARD FOLDER ROOT KEY BUNDLE...``.

Nothing of airlift is imported before the guard stands, so that import-time sockets count as well. Prints the audit
events of sockets that were seen.
"""

import json
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SEEN: list[str] = []


def guard(event: str, args: tuple[Any, ...]) -> None:
    """Record and refuse everything that a socket does."""
    if event.startswith("socket."):
        SEEN.append(f"{event} {args[1:]}")
        raise RuntimeError(f"{event}: there is no network here")


class Absent:
    """Makes modules impossible to import."""

    def find_spec(self, name: str, *_: object) -> None:
        """Refuse the low side, its extras, and those of the command line."""
        extras = {"huggingface_hub", "typer", "rich", "requests", "httpx", "obstore"}
        if name.split(".", maxsplit=1)[0] in extras or name == "airlift.low":
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)


def flow(folder: Path, root: Path, key: str, bundles: list[Path]) -> str:
    """Enrol, inspect, plan, import, activate, serve, roll back, check and ask; return what is active."""
    from airlift.errors import LayoutError
    from airlift.high.activation.activate import roll_back
    from airlift.high.enclave import gc, init, status
    from airlift.high.enclave.check_content import check_content
    from airlift.high.enclave.enclave import Operator, open_enclave
    from airlift.high.importing.import_bundle import import_bundle
    from airlift.high.importing.preview import plan_import
    from airlift.high.record import questions
    from airlift.high.record.verify_ledger import verify_ledger
    from airlift.high.serving.export import Job, export, unfollow
    from airlift.high.verification import inspect
    from airlift.layouts.layouts import LAYOUTS, choose
    from airlift.trust.keys.load import load_signer

    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    operator = Operator("isolated", load_signer(key), now)
    new = init.NewEnclave("alpha", root, init.root_fingerprint(root), key)
    init.init_enclave(folder, new, operator=operator)
    place = open_enclave(folder)
    for bundle in bundles:
        inspect.inspect_volumes([bundle])
        plan_import(place, [bundle], now)
        import_bundle(place, [bundle], operator=operator, activate=True)
    for layout in LAYOUTS:  # those that this release fits
        with suppress(LayoutError):
            export(
                place, Job("active", choose(layout), folder.parent / layout, follow=True), operator=operator
            )
    roll_back(place, operator=operator)
    unfollow(place, folder.parent / "tree", operator=operator)
    check_content(place)
    gc.collect_garbage(place, operator=operator)
    verify_ledger(place, public_key=None)
    questions.trace(place, "base")
    return str(status.enclave_status(place, now).active)


def main() -> None:
    """Run the flow under the guard that the first argument names."""
    kind, folder, root, key, *bundles = sys.argv[1:]
    if kind == "audit":
        sys.addaudithook(guard)
    if kind != "plain":
        sys.meta_path.insert(0, Absent())
    active = flow(Path(folder), Path(root), key, [Path(item) for item in bundles])
    sys.stdout.write(json.dumps({"active": active, "seen": SEEN}))


if __name__ == "__main__":
    main()
