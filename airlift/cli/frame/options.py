"""Options that several commands share, declared once: same name, same meaning, same help."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airlift.bundle import media_sizes
from airlift.bundle.media_sizes import Medium
from airlift.cli.frame import passphrase as passphrases
from airlift.cli.frame.session import Run

if TYPE_CHECKING:
    from airlift.trust.keys.public import Passphrase, Signer

DEPOT = Path("depot")
ENCLAVE = Path("enclave")
USB = "fat32"  # USB drives are written in clusters, discs in sectors

Depot = Annotated[
    Path,
    typer.Option("--depot", envvar="AIRLIFT_DEPOT", metavar="DIR", help="The low side's working repository."),
]
Enclave = Annotated[
    Path,
    typer.Option("--enclave", envvar="AIRLIFT_ENCLAVE", metavar="DIR", help="The high side's installation."),
]
Volumes = Annotated[
    list[Path],
    typer.Argument(
        metavar="VOLUME", help="Folders of one bundle, or a folder that holds them; in any order."
    ),
]
Key = Annotated[
    list[str],
    typer.Option(
        "--key",
        metavar="KEY",
        default_factory=list,
        show_default=False,
        help="A private key: a file, or a pkcs11: URI. May be repeated.",
    ),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Passphrases of encrypted keys, one a line in the order of the keys; the last serves all that follow.",
    ),
]
PassphraseFd = Annotated[
    int | None, typer.Option(metavar="N", help="The same, read from an open file descriptor.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Agree to what a person would be asked.")]
Replace = Annotated[
    bool, typer.Option("--replace", help="Drop a pending change of the same role and its signatures.")
]
Output = Annotated[Path, typer.Option("--output", metavar="DIR", help="Receives one folder per volume.")]
VolumeSize = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE", help=f"Bytes per volume: 4.7GB, 25GiB, or {', '.join(media_sizes.PRESETS)}."
    ),
]
MaxFileSize = Annotated[
    str | None, typer.Option(metavar="SIZE", help="Bytes per file on the medium: 2GiB, or fat32.")
]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help="Threads that code or decode; one per processor by default, up to a limit."
    ),
]


def threads(given: int | None, most: int) -> int:
    """Return how many threads ``--workers`` asks for; without it one per processor, but at most ``most``."""
    return given or min(os.cpu_count() or 1, most)


def medium(volume_size: str | None, max_file_size: str | None) -> Medium:
    """Return the medium that ``--volume-size`` and ``--max-file-size`` describe.

    Raises:
        UsageError: one of them is no size.
    """
    return Medium(
        volume_bytes=None
        if volume_size is None
        else media_sizes.parse_size(volume_size, media_sizes.PRESETS),
        file_bytes=None
        if max_file_size is None
        else media_sizes.parse_size(max_file_size, media_sizes.FILE_PRESETS),
        unit=media_sizes.CLUSTER if max_file_size == USB else media_sizes.SECTOR,
    )


def passphrase(run: Run, file: Path | None, descriptor: int | None) -> "Passphrase":
    """Return what is asked for the passphrases of encrypted keys."""
    return passphrases.source(run, file, descriptor)


def signers(keys: list[str], ask: "Passphrase") -> "list[Signer]":
    """Load private keys, in order.

    Raises:
        KeyUnavailableError: one is missing, is no private key, or does not open.
    """
    from airlift.trust.keys.load import load_signer

    return [load_signer(key, ask) for key in keys]
