"""``airlift low``: pack a release into volumes, check, renew and withdraw bundles."""

import shlex
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, answer, command
from airlift.cli.frame.output import Page, marking, size, to_data
from airlift.cli.frame.places import OnDepot
from airlift.cli.frame.session import Run
from airlift.errors import UsageError

if TYPE_CHECKING:
    from airlift.bundle.media_sizes import Medium
    from airlift.low.bundle.job import BundleRequest

MAX_WORKERS = 8
PRESETS = ("cd", "dvd", "dvd-dl", "bd25", "bd50", "bd100")
"""The names of :data:`airlift.bundle.media_sizes.PRESETS`."""

KNOWN_BY = {
    "receipt": "a signed receipt says that it is held",
    "operator": "by the operator's word",
    "assumption": "assumed: a bundle that brings it is outstanding, and has to be imported first",
    "none": "nothing is known to be held",
}
"""How it is known that an enclave holds the baseline, in words (SPEC L1.5)."""

USB = "fat32"  # USB drives are written in clusters, discs in sectors


class Effort(StrEnum):
    """How much time coding may take."""

    normal = "normal"
    high = "high"


BundlerKey = Annotated[str, typer.Option(metavar="KEY", help="The bundler's private key.")]
For = Annotated[
    str | None, typer.Option("--for", metavar="ENCLAVE", help="Address it: no other enclave imports it.")
]

Parity = Annotated[
    str | None,
    typer.Option(
        metavar="N|P%",
        help="Add parity: N more volumes, so that any N may be lost, or P % more on each, against scratches.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOutput:
    """Where volumes are written to, and who signs them."""

    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Receives one folder per volume.")]
    bundler_key: BundlerKey


def _pem(option: str, what: str) -> Any:
    variable = f"AIRLIFT{option[1:].upper().replace('-', '_')}"
    return typer.Option(option, envvar=variable, metavar="PEM", help=what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """Where a bundle is written to, and whether it is coded in parts: by processes that share a folder."""

    output: Annotated[
        Path,
        typer.Option(
            "--output", metavar="DIR", help="Receives one folder per volume; with --shard, one per shard."
        ),
    ]
    bundler_key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="The bundler's private key; not with --shard.", show_default=False),
    ] = None
    part: Annotated[
        str | None,
        typer.Option(
            "--shard", metavar="I/N", help="Code the I-th of N parts alone, into the shared folder --output."
        ),
    ] = None
    join: Annotated[
        Path | None,
        typer.Option(
            "--join", metavar="DIR", help="Join the shards in this folder, which nobody has to trust."
        ),
    ] = None
    parts: Annotated[
        int | None,
        typer.Option(
            "--shards",
            metavar="N",
            min=1,
            max=4096,
            help="How many there are; --cluster needs to know, --join goes by what is there.",
        ),
    ] = None
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="tls://HOST:PORT",
            help="Have the --shards made by a dask cluster, into the folder --output.",
        ),
    ] = None
    cluster_ca: Annotated[Path | None, _pem("--cluster-ca", "Who vouches for scheduler and workers.")] = None
    cluster_cert: Annotated[
        Path | None, _pem("--cluster-cert", "The certificate of who asks the cluster.")
    ] = None
    cluster_key: Annotated[Path | None, _pem("--cluster-key", "The key of that certificate.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Whom a bundle is for, and what that enclave holds."""

    from_: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="RELEASE|none",
            help="The baseline that the enclave holds. With several: ENCLAVE=RELEASE, for each that it is said of.",
        ),
    ] = None
    for_: Annotated[
        list[str] | None,
        typer.Option(
            "--for",
            metavar="ENCLAVE",
            help="Address it: no other enclave imports it. Again for one bundle for several.",
        ),
    ] = None
    variant: options.Variants

    @property
    def enclaves(self) -> tuple[str, ...]:
        """The enclaves that it is for, none if any may import it."""
        return tuple(self.for_ or ())

    def baselines(self) -> tuple[str | None, dict[str, str]]:
        """Return the baseline of the bundle, or that of each of several enclaves.

        Raises:
            UsageError: it cannot be told whose one is, or there are several.
        """
        said, names = self.from_ or [], self.enclaves
        if len(names) < 2 and len(said) < 2:
            return (said[0].removeprefix(f"{''.join(names)}=") if said else None), {}
        found = {name: release for name, _, release in (item.partition("=") for item in said)}
        if len(found) != len(said) or not found.keys() <= set(names) or not all(found.values()):
            several = ", ".join(names) or "none: say --for ENCLAVE for each"
            raise UsageError(
                "with several enclaves each --from says whose baseline it is, once",
                expected=f"--from ENCLAVE=RELEASE, of {several}",
                found=", ".join(f"--from {item}" for item in said),
                hint=f"`airlift low bundle RELEASE {_example(names)}`",
            )
        return None, found


@dataclass(frozen=True, slots=True, kw_only=True)
class ForMedium:
    """What volumes are written on."""

    volume_size: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help=f"Bytes per volume: 4.7GB, 25GiB, or {', '.join(PRESETS)}."),
    ] = None
    max_file_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Bytes per file on the medium: 2GiB, or fat32.")
    ] = None

    def medium(self) -> "Medium":
        """Return the medium that the two sizes describe.

        Raises:
            UsageError: one of them is no size.
        """
        from airlift.bundle import media_sizes

        volume, file = self.volume_size, self.max_file_size
        return media_sizes.Medium(
            volume_bytes=None if volume is None else media_sizes.parse_size(volume, media_sizes.PRESETS),
            file_bytes=None if file is None else media_sizes.parse_size(file, media_sizes.FILE_PRESETS),
            unit=media_sizes.CLUSTER if file == USB else media_sizes.SECTOR,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """How the bytes of a bundle are coded."""

    parity: Parity = None
    workers: options.Workers = None
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Decode every block again before it ships.")
    ] = True
    effort: Annotated[
        Effort,
        typer.Option(
            "--effort",
            help="high: a merge of low rank becomes about an eighth smaller in twice the time, a fine-tune does not. "
            "Importing takes as long.",
        ),
    ] = Effort.normal
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Show what takes the bytes; with --dry-run too, which then codes everything."
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    """What decides which blocks a bundle has: whom it is for, on which medium, and how it is coded."""

    receiver: Receiver
    volumes: ForMedium
    coding: Coding


@command(
    app.low,
    "bundle",
    "airlift low bundle assistant@2026.11.1 --for alpha --output out --bundler-key bundler.key --volume-size dvd",
    "airlift low bundle assistant@2026.11.1 --from assistant@2026.11.0 --output out --bundler-key bundler.key",
    "airlift low bundle assistant@2026.11.1 --output out --bundler-key bundler.key --volume-size dvd --parity 2",
    "airlift low bundle assistant@2026.11.1 --for alpha --for bravo --output out --bundler-key bundler.key",
    "airlift low bundle assistant@2026.11.1 --for alpha --shard 3/8 --output /shared",
    "airlift low bundle assistant@2026.11.1 --for alpha --cluster tls://head:8786 --shards 64 --output /shared",
    "airlift low bundle assistant@2026.11.1 --for alpha --join /shared --output out --bundler-key bundler.key",
)
def bundle(
    run: Run,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="name@version, or its digest.")],
    *,
    to: Apart,
    what: What,
    on: OnDepot,
) -> Answer:
    """Pack what an enclave lacks of a published release into volumes, one folder each.

    Say with --from which release it holds. With --for alone it is the newest one that this enclave has acknowledged,
    as its receipt or a typed code said; without one, the bundle is complete. Of a component in variants the one goes
    along that --variant chooses, or what the enclave is enrolled with; without a choice all of them.

    With --for given again, one bundle serves several enclaves: what more than one of them lacks goes along once.

    Several processes can code it, one part each, with --shard and the same other options, but without a key. What
    they write is held against the plan, and decoded again, by the one that joins it.
    """
    from airlift.low.bundle.make_bundle import make_bundle

    _check_together(to, what)
    key = "" if to.part or to.cluster else _key(to)
    request = _request(release, to, what, on)
    if to.part is not None:
        return _code_part(run, request, to, on)
    if to.cluster is not None:
        return _code_on_cluster(run, request, to, what, on)
    destination, asked = request.destination, request.destination.redundancy
    result = make_bundle(
        on.open(),
        request,
        signer=on.passphrases.signer(run, key),
        now=run.now,
        dry_run=on.dry_run,
        progress=run.progress,
    )
    if destination.enclave is not None:
        _say_baseline(run, destination.enclave, result.baseline, result.baseline_known_by)
    for portion in result.portions:
        _say_baseline(run, portion.enclave, portion.baseline, portion.baseline_known_by)
    if asked is not None and result.volumes and result.parity_chunks:
        run.say(_promise(asked.volumes, asked.percent, len(result.volumes)))
    return _bundled(result, dry_run=on.dry_run)


def _say_baseline(run: Run, enclave: str, baseline: str | None, known_by: str | None) -> None:
    run.say(f"baseline for {enclave}: {baseline or 'none'} ({KNOWN_BY[known_by or 'none']})")


def _example(names: tuple[str, ...]) -> str:
    """Return options for several enclaves, of which one starts from a release that is named."""
    first, *others = names if len(names) > 1 else (*names, "ENCLAVE", "OTHER")[:2]
    return " ".join((f"--for {first}", *(f"--for {name}" for name in others), f"--from {first}=RELEASE"))


def _request(release: str, to: Apart, what: What, on: OnDepot) -> "BundleRequest":
    from airlift.bundle.parity import layout
    from airlift.codec import Effort as CodingEffort
    from airlift.low.bundle import job

    receiver, volumes, coding = what.receiver, what.volumes, what.coding
    redundancy = None if coding.parity is None else layout.parse(coding.parity)
    names, (from_, each_from) = receiver.enclaves, receiver.baselines()
    one, several = (names[0], ()) if len(names) == 1 else (None, names)
    joined = None
    if to.join is not None:
        words = _again(release, to.join, what, on.depot)
        joined = job.Joined(to.join, to.parts, shlex.join(["airlift", *words]))
    return job.BundleRequest(
        release,
        job.Destination(to.output, one, volumes.medium(), redundancy, several),
        from_,
        job.Coding(
            options.threads(coding.workers, MAX_WORKERS),
            coding.check,
            CodingEffort[coding.effort.name.upper()],
        ),
        coding.explain,
        options.rules(receiver.variant),
        each_from,
        joined,
    )


def _again(release: str, shared: Path, what: What, depot: Path) -> list[str]:
    """Return the words of the command that makes a shard, but for its number."""
    receiver, volumes, coding = what.receiver, what.volumes, what.coding
    pairs = [
        *(("--from", text) for text in receiver.from_ or ()),
        *(("--for", name) for name in receiver.enclaves),
        *(("--variant", text) for text in receiver.variant),
        ("--volume-size", volumes.volume_size),
        ("--max-file-size", volumes.max_file_size),
        ("--parity", coding.parity),
        ("--effort", None if coding.effort is Effort.normal else coding.effort.value),
        ("--depot", None if depot == options.DEPOT else depot),
        ("--output", shared),
    ]
    given = [str(word) for name, value in pairs if value is not None for word in (name, value)]
    return ["low", "bundle", release, *given]


def _check_together(to: Apart, what: What) -> None:
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


def _key(to: Apart) -> str:
    if to.bundler_key is None:
        raise UsageError(
            "option '--bundler-key' is missing",
            expected="the bundler's private key, or --shard, which needs none",
        )
    return to.bundler_key


def _code_part(run: Run, request: "BundleRequest", to: Apart, on: OnDepot) -> Answer:
    """Code one part; how it is cut, in a dry run."""
    from airlift.low.bundle.sharding.division import parse_share
    from airlift.low.bundle.sharding.make_shard import make_shard

    share = parse_share(to.part or "")
    result = make_shard(on.open(), request, share, now=run.now, dry_run=on.dry_run, progress=run.progress)
    if result.already:
        run.say("that shard is there, and as it must be: nothing was coded")
    data = {**to_data(result), "dry_run": on.dry_run}

    def render(page: Page) -> None:
        facts = {key: value for key, value in data.items() if key != "parts" and value is not None}
        for key in ("target_bytes", "coded_bytes"):
            if key in facts:
                facts[key] = size(facts[key])
        page.facts(facts)
        if data["parts"]:
            page.line()
            page.records(data["parts"])

    return Answer(data, render)


def _code_on_cluster(run: Run, request: "BundleRequest", to: Apart, what: What, on: OnDepot) -> Answer:
    """Have all parts coded by a cluster; how they are cut, in a dry run."""
    from airlift.low.bundle.sharding.cluster import Scheduler, check_scheduler, code_on_cluster

    scheduler = Scheduler(to.cluster or "", to.cluster_ca, to.cluster_cert, to.cluster_key)
    check_scheduler(scheduler)
    words = _again(request.release, to.output.resolve(), what, on.depot.resolve())
    result = code_on_cluster(
        on.open(),
        request,
        scheduler,
        to.parts or 1,
        [*words, "--workers", str(what.coding.workers or 1)],
        dry_run=on.dry_run,
        progress=run.progress,
    )
    data = {**to_data(result), "dry_run": on.dry_run}

    def render(page: Page) -> None:
        facts = {key: value for key, value in data.items() if key != "parts" and value is not None}
        page.facts({**facts, "made": len(data["made"]), "already": len(data["already"])})
        if data["parts"]:
            page.line()
            page.records(data["parts"])

    return Answer(data, render)


def _promise(lost: int, percent: int, count: int) -> str:
    """Return what parity is good for, in words."""
    if lost:
        return f"any {lost} of the {count} volumes may be lost or damaged: the others complete the import"
    return f"about {percent} % of the chunks of each volume may be damaged: the import rebuilds them"


@command(
    app.low,
    "renew",
    "airlift low renew --output out --bundler-key bundler.key",
    "airlift low renew --for alpha --output out --bundler-key bundler.key",
)
def renew(
    run: Run,
    *,
    to: SignedOutput,
    for_: For = None,
    volumes: ForMedium,
    on: OnDepot,
) -> Answer:
    """Write a bundle without chunks: fresh metadata, roots and revocations."""
    from airlift.low.bundle.job import Destination
    from airlift.low.bundle.renew import renew as make_renewal

    result = make_renewal(
        on.open(),
        Destination(to.output, for_, volumes.medium()),
        signer=on.passphrases.signer(run, to.bundler_key),
        now=run.now,
        dry_run=on.dry_run,
    )
    return _bundled(result, dry_run=on.dry_run)


@command(app.low, "withdraw", "airlift low withdraw alpha-7 --bundler-key bundler.key")
def withdraw(
    run: Run,
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="Its id, for example alpha-7.")],
    *,
    bundler_key: BundlerKey,
    on: OnDepot,
) -> Answer:
    """Take a bundle off the list of those that may still be imported.

    Enclaves learn of it with the next bundle or renewal.
    """
    from airlift.low.bundle.withdraw import withdraw as withdraw_bundle

    signer = on.passphrases.signer(run, bundler_key)
    result = withdraw_bundle(on.open(), bundle, signer=signer, now=run.now, dry_run=on.dry_run)
    return answer(result, dry_run=on.dry_run)


@command(app.low, "check", "airlift low check /media/disc1 /media/disc2")
def check(
    run: Run,
    volumes: options.Volumes,
    *,
    depot: Annotated[
        Path | None,
        typer.Option(
            envvar="AIRLIFT_DEPOT", metavar="DIR", help="Also ask whether this depot published the bundle."
        ),
    ] = None,
) -> Answer:
    """Read again what was written or burnt, before it leaves: every byte against its digest."""
    from airlift.low.bundle.check_volumes import check_volumes
    from airlift.low.depot.depot import open_depot

    opened = open_depot(depot) if depot is not None else None
    result = check_volumes(volumes, depot=opened, progress=run.progress)
    if result.missing or result.missing_parity:
        count = len({*result.missing, *result.missing_parity})
        run.warn(f"{count} chunks lie on volumes that were not given")
    run.warn_passed_over(result.passed_over)
    data = to_data(result)

    def render(page: Page) -> None:
        apart = {"remarks", "passed_over", "missing_parity"}
        facts = {key: value for key, value in data.items() if key not in apart}
        page.facts({**facts, "volumes": len(data["volumes"]), "missing": f"{len(data['missing'])} chunks"})
        page.lines(data["remarks"])

    return Answer(data, render)


def _bundled(result: Any, *, dry_run: bool) -> Answer:
    data = {**to_data(result), "dry_run": dry_run}
    if data["explain"] is None:
        del data["explain"]
    if not data["portions"]:
        del data["portions"]
    return Answer(data, lambda page: _render(page, data))


def _shown(portion: dict[str, Any]) -> dict[str, Any]:
    """Return what one of several enclaves takes, as people read it."""
    sizes = {
        key: size(portion[key])
        for key in ("target_bytes", "chunk_bytes", "own_bytes")
        if portion[key] is not None
    }
    return {**portion, "baseline": portion["baseline"] or "none", **sizes}


def _render(page: Page, data: dict[str, Any]) -> None:
    apart = {"volumes", "components", "remarks", "marking", "codecs", "explain", "portions"}
    facts = {key: value for key, value in data.items() if key not in apart}
    for key in ("chunk_bytes", "target_bytes", "parity_bytes"):
        facts[key] = size(data[key])
    if data["parity"] is None:
        facts = {key: value for key, value in facts.items() if not key.startswith("parity")}
    for key in ("variants", "left_out"):
        if not facts[key]:
            del facts[key]
    facts["marking"] = marking(data["marking"])
    if "portions" in data:
        facts = {key: value for key, value in facts.items() if not key.startswith("baseline")}
        facts["enclave"] = ", ".join(one["enclave"] for one in data["portions"])
    page.facts(facts)
    if "portions" in data:
        page.line()
        page.records([_shown(one) for one in data["portions"]])
    for key in ("components", "volumes"):
        if data[key]:
            page.line()
            page.records(data[key])
            page.lines(data["remarks"] if key == "components" else ())
    if "explain" in data:
        from airlift.cli.low import cost_tables

        cost_tables.render(page, data["explain"])
    elif data["codecs"]:
        page.line()
        page.table(["codec", "target bytes"], list(data["codecs"].items()))
