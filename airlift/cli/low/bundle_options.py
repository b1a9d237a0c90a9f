"""What the options of a bundle are, and the request that they make."""

import shlex
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airlift.cli.frame import options
from airlift.cli.frame.places import OnDepot
from airlift.errors import UsageError

if TYPE_CHECKING:
    from airlift.bundle.media_sizes import Medium
    from airlift.low.bundle.job import BundleRequest

MAX_WORKERS = 8
PRESETS = ("cd", "dvd", "dvd-dl", "bd25", "bd50", "bd100")
"""The names of :data:`airlift.bundle.media_sizes.PRESETS`."""

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


def _example(names: tuple[str, ...]) -> str:
    """Return options for several enclaves, of which one starts from a release that is named."""
    first, *others = names if len(names) > 1 else (*names, "ENCLAVE", "OTHER")[:2]
    return " ".join((f"--for {first}", *(f"--for {name}" for name in others), f"--from {first}=RELEASE"))


def bundle_request(release: str, to: Apart, what: What, on: OnDepot) -> "BundleRequest":
    """Return what is asked for.

    Raises:
        UsageError: a size, a rule or a baseline is none, or it cannot be told whose it is.
    """
    from airlift.bundle.parity import layout
    from airlift.codec import Effort as CodingEffort
    from airlift.low.bundle import job

    receiver, volumes, coding = what.receiver, what.volumes, what.coding
    redundancy = None if coding.parity is None else layout.parse(coding.parity)
    names, (from_, each_from) = receiver.enclaves, receiver.baselines()
    one, several = (names[0], ()) if len(names) == 1 else (None, names)
    joined = None
    if to.join is not None:
        words = words_again(release, to.join, what, on.depot)
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


def words_again(release: str, shared: Path, what: What, depot: Path) -> list[str]:
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
