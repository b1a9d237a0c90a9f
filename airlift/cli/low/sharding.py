"""``airlift low bundle`` in parts: with --shard and --cluster, and what goes together."""

from typing import TYPE_CHECKING, Any

from airlift.cli.frame.command import Answer
from airlift.cli.frame.output import Page, size, to_data
from airlift.cli.frame.places import OnDepot
from airlift.cli.frame.session import Run
from airlift.cli.low.bundle_options import Apart, What, words_again
from airlift.errors import UsageError

if TYPE_CHECKING:
    from airlift.low.bundle.job import BundleRequest


def check_together(to: Apart, what: What) -> None:
    """Check that what is said of shards goes together.

    Raises:
        UsageError: it does not.
    """
    one = next((name for name, value in (("--shard", to.part), ("--cluster", to.cluster)) if value), None)
    beside = {
        "--cluster": to.cluster if one != "--cluster" else None,
        "--join": to.join,
        "--shards": to.parts if one != "--cluster" else None,
        "--bundler-key": to.bundler_key,
        "--explain": what.coding.explain or None,
    }
    wrong = [name for name, value in beside.items() if value is not None]
    if one and wrong:
        raise UsageError(
            f"{one} does not go with {wrong[0]}",
            expected="shards to be coded, or shards to be joined",
            hint="leave it out: who codes needs no key, and --join is another command",
        )
    if to.cluster and to.parts is None:
        raise UsageError(
            "--cluster needs to know how many shards to make",
            expected="some for each worker",
            hint="say how many: `--shards 64`",
        )
    if to.parts and not (to.cluster or to.join):
        raise UsageError("--shards goes with --join or --cluster", hint="say where they are: `--join DIR`")


def bundler_key(to: Apart) -> str:
    """Return the key of whoever signs.

    Raises:
        UsageError: none is given.
    """
    if to.bundler_key is None:
        raise UsageError(
            "option '--bundler-key' is missing",
            expected="the bundler's private key, or --shard, which needs none",
        )
    return to.bundler_key


def code_part(run: Run, request: "BundleRequest", to: Apart, on: OnDepot) -> Answer:
    """Code one part; how it is cut, in a dry run."""
    from airlift.low.bundle.sharding.division import parse_share
    from airlift.low.bundle.sharding.make_shard import make_shard

    share = parse_share(to.part or "")
    result = make_shard(on.open(), request, share, now=run.now, dry_run=on.dry_run, progress=run.progress)
    if result.already:
        run.say("that shard is there, and as it must be: nothing was coded")
    sizes = {"target_bytes": result.target_bytes, "coded_bytes": result.coded_bytes}
    shown = {key: size(value) for key, value in sizes.items() if value is not None}
    return _answer({**to_data(result), "dry_run": on.dry_run}, shown)


def code_on_cluster(run: Run, request: "BundleRequest", to: Apart, what: What, on: OnDepot) -> Answer:
    """Have all parts coded by a cluster; how they are cut, in a dry run."""
    from airlift.low.bundle.sharding.cluster import Scheduler, check_scheduler
    from airlift.low.bundle.sharding.cluster import code_on_cluster as code_there

    scheduler = Scheduler(to.cluster or "", to.cluster_ca, to.cluster_cert, to.cluster_key)
    check_scheduler(scheduler)
    words = words_again(request.release, to.output.resolve(), what, on.depot.resolve())
    result = code_there(
        on.open(),
        request,
        scheduler,
        to.parts or 1,
        [*words, "--workers", str(what.coding.workers or 1)],
        dry_run=on.dry_run,
        progress=run.progress,
    )
    shown = {"made": len(result.made), "already": len(result.already)}
    return _answer({**to_data(result), "dry_run": on.dry_run}, shown)


def _answer(data: dict[str, Any], shown: dict[str, Any]) -> Answer:
    """Return the answer; people are shown what is ``shown`` in the place of the same keys, and the parts below."""

    def render(page: Page) -> None:
        facts = {key: value for key, value in data.items() if key != "parts" and value is not None}
        page.facts(facts | shown)
        if data["parts"]:
            page.line()
            page.records(data["parts"])

    return Answer(data, render)
