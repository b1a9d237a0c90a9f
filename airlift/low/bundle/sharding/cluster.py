"""Have the shards of a bundle made by the workers of a dask cluster, which see the same folders (SPEC L4.22).

Nothing but strings and integers is passed: the words of the command that makes a shard, its number, and how many
there are; a worker runs that command in a process of its own, and returns the SHA-512 that it says. Shards are files,
and proven when they are joined.

Whoever answers this module can run code in its process: dask reads pickles that come from the scheduler and from
workers. So it runs without a key, and is another command than the one that joins and signs. distributed is imported
inside the function that needs it (extra ``cluster``).
"""

import json
import re
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import ModuleType
from typing import Any

from airlift import progress as progress_module
from airlift import strict
from airlift.errors import MalformedError, PartsMissingError, UncheckedError, UsageError
from airlift.low.bundle.job import BundleRequest
from airlift.low.bundle.sharding.division import Share
from airlift.low.bundle.sharding.make_shard import Part, plan_parts
from airlift.low.bundle.sharding.shard_file import Place
from airlift.low.depot.depot import Depot
from airlift.progress import Progress, Tally, announce
from airlift.shown import clean

CONNECT_SECONDS = 30
TRIES = 3
"""How often a shard is tried that fails; one whose worker was lost is tried elsewhere, and that does not count."""
MAX_ANSWER = 1 << 20
SHOWN_BYTES = 200
"""So much is told of what a command said that did not answer."""

_ADDRESS = re.compile(r"(tls|tcp)://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})\Z")


@dataclass(frozen=True, slots=True)
class Scheduler:
    """Where the scheduler of a cluster is, and what proves who is who: files in PEM form."""

    address: str
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class ClusterResult:
    """What a cluster made: the numbers of shards that were ``made``, and of those that were there ``already``.

    In a dry run nothing is made, and ``parts`` are all parts of the plan. For several enclaves ``baseline`` and
    ``baseline_known_by`` are None: each has its own.
    """

    of: int
    plan: str
    folder: str
    target: str
    baseline: str | None
    baseline_known_by: str | None
    made: tuple[int, ...]
    already: tuple[int, ...]
    parts: tuple[Part, ...] = ()


def code_part(words: str, number: int, of: int) -> str:
    """Make a shard: what a worker runs. ``words`` is a JSON list, the command line but for the number of the shard.

    Returns the SHA-512 (hex) that the shard ends with. If this process is killed, the one that codes may go on: what
    it writes is the same.

    Raises:
        RuntimeError: the command failed; with what it said.
    """
    command = [sys.executable, "-m", "airlift", *json.loads(words), "--shard", f"{number}/{of}"]
    done = subprocess.run(  # noqa: S603 - this very program
        [*command, "--format", "json", "--quiet", "--no-progress"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    try:
        answer = strict.parse_any(done.stdout, limit=MAX_ANSWER, what="the answer of airlift", floats=True)
    except MalformedError:  # it was killed, or is not what answers
        said = done.stderr.decode(errors="replace").strip()[-SHOWN_BYTES:] or "nothing"
        ended = f"signal {-done.returncode}" if done.returncode < 0 else f"exit {done.returncode}"
        raise RuntimeError(f"{ended}: it said {said}") from None
    if done.returncode:
        error = answer["error"]
        raise RuntimeError(f"exit {done.returncode}: {error['message']}; found {error['found']}")
    digest: str = answer["data"]["digest"]
    return digest


def code_on_cluster(
    depot: Depot,
    request: BundleRequest,
    scheduler: Scheduler,
    of: int,
    words: Sequence[str],
    *,
    dry_run: bool = False,
    progress: Progress = progress_module.silent,
) -> ClusterResult:
    """Have the shards of a bundle made that are not there; the request's output is the folder that is shared.

    ``words`` are those of the command that makes one, but for its number; paths in them are what workers see.

    Raises:
        RefusedError, NotHeldError, VolumeTooSmallError: as ``make_bundle``.
        UsageError: the address is none, or off this machine and without TLS; or distributed is not installed.
        UncheckedError: no scheduler or no worker answers.
        PartsMissingError: shards were not made.
    """
    check_scheduler(scheduler)
    _library()
    planned = plan_parts(depot, request, of)
    parts = tuple(planned.parts())
    already = tuple(part.shard for part in parts if part.there)
    todo = [part for part in parts if not part.there]
    if todo and not dry_run:
        failed = _run(scheduler, planned.place, todo, words, progress)
        lacking = [part.shard for part in todo if not _at(planned.place, part.shard).there()]
        if lacking:
            raise _unmade(lacking, of, words, failed)
    return ClusterResult(
        of=of,
        plan=planned.place.plan,
        folder=str(request.destination.output),
        target=planned.subject.target.label,
        baseline=planned.subject.baseline.label if planned.subject.baseline else None,
        baseline_known_by=planned.subject.known_by,
        made=() if dry_run else tuple(part.shard for part in todo),
        already=already,
        parts=parts if dry_run else (),
    )


def check_scheduler(scheduler: Scheduler) -> None:
    """Check that the address is one, and that nothing goes to another machine without TLS.

    Raises:
        UsageError: it is not so.
    """
    match = _ADDRESS.match(scheduler.address)
    if match is None:
        raise UsageError(
            f"{scheduler.address[:80]!a} is no address of a scheduler",
            expected="tls://HOST:PORT",
            hint="ask who runs the cluster: `--cluster tls://HOST:8786`",
        )
    if match[1] == "tcp" and not _is_loopback(match[2].strip("[]")):
        raise UsageError(
            f"{scheduler.address} is not protected by TLS, and not on this machine",
            expected="tls://HOST:PORT",
            hint="start the scheduler and its workers with certificates: see docs/scaling-out.md",
        )
    given = (scheduler.ca, scheduler.certificate, scheduler.key)
    if match[1] == "tls" and None in given:
        raise UsageError(
            "TLS needs to know who is who",
            expected="--cluster-ca, --cluster-cert and --cluster-key",
            hint="give all three, or AIRLIFT_CLUSTER_CA, AIRLIFT_CLUSTER_CERT and AIRLIFT_CLUSTER_KEY",
        )


# -- inside --------------------------------------------------------------------------------------------------------


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _library() -> ModuleType:
    try:
        import distributed  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError(
            "distributed is not installed", hint="install it on the low side: pip install 'airlift[cluster]'"
        ) from error
    library: ModuleType = distributed
    return library


def _at(place: Place, number: int) -> Place:
    return Place(place.shared, place.plan, Share(number, place.share.of))


def _run(
    scheduler: Scheduler,
    place: Place,
    todo: Sequence[Part],
    words: Sequence[str],
    progress: Progress,
) -> dict[int, str]:
    """Submit shards, and wait for all of them; return what was wrong, by number."""
    announce("waiting for the cluster")
    library, failed = _library(), dict[int, str]()
    with _client(library, scheduler) as client:
        tally = Tally("coding on the cluster", sum(part.target_bytes for part in todo), progress)
        run, order = secrets.token_hex(4), json.dumps([*words])
        waiting = {
            client.submit(
                code_part, order, part.shard, place.share.of,
                key=f"{_at(place, part.shard).folder.name}-{run}", retries=TRIES - 1, pure=False,
            ): part
            for part in todo
        }  # fmt: skip
        for future in library.as_completed(waiting, loop=client.loop):
            part = waiting[future]
            if future.status == "finished":
                tally.add(part.target_bytes)
            else:
                failed[part.shard] = _told(future)
    return failed


def _told(future: Any) -> str:
    """Return why a shard was not made: what the worker said, or what became of the task."""
    said = str(future.exception()) if future.status == "error" else f"the task was {future.status}"
    return clean(said)[:240]


def _client(library: ModuleType, scheduler: Scheduler) -> Any:
    """Return a client of the cluster, once a worker is there."""
    security = None
    if scheduler.address.startswith("tls:"):
        security = library.Security(
            require_encryption=True,
            tls_ca_file=str(scheduler.ca),
            tls_client_cert=str(scheduler.certificate),
            tls_client_key=str(scheduler.key),
        )
    try:
        client = library.Client(
            scheduler.address,
            security=security,
            timeout=CONNECT_SECONDS,
            set_as_default=False,
            name="airlift",
        )
    except (OSError, ValueError) as error:
        raise _silent(scheduler, "scheduler", error) from error
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        client.close()
        raise _silent(scheduler, "worker", error) from error
    return client


def _silent(scheduler: Scheduler, what: str, error: Exception) -> UncheckedError:
    return UncheckedError(
        f"no {what} answers at {scheduler.address}",
        found=clean(str(error))[:240] or type(error).__name__,
        hint="check the address, the certificates, and that the cluster runs; then run the same command again",
    )


def _unmade(lacking: list[int], of: int, words: Sequence[str], failed: dict[int, str]) -> PartsMissingError:
    commands = list(_commands(lacking, of, words))
    return PartsMissingError(
        f"{len(lacking)} of {of} shards were not made by the cluster: {', '.join(map(str, lacking[:8]))}",
        expected="a worker that sees the depot and the folder under the same paths, with this airlift",
        found=next(iter(failed.values()), "what was said to be done is not there"),
        hint=f"see what is wrong on a worker's machine: `{commands[0]}`; then run the same command again",
        data={"missing": lacking, "of": of, "commands": commands},
    )


def _commands(numbers: list[int], of: int, words: Sequence[str]) -> Iterator[str]:
    for number in numbers:
        yield f"{shlex.join(['airlift', *words])} --shard {number}/{of}"
