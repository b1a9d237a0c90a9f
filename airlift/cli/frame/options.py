"""Options that several commands share, declared once: same name, same meaning, same help."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from airlift.bundle import layout
from airlift.bundle.layout import Medium

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
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Agree to what a person would be asked.")]
Replace = Annotated[
    bool, typer.Option("--replace", help="Drop a pending change of the same role and its signatures.")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ForMedium:
    """What volumes are written on."""

    volume_size: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help=f"Bytes per volume: 4.7GB, 25GiB, or {', '.join(layout.PRESETS)}."),
    ] = None
    max_file_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Bytes per file on the medium: 2GiB, or fat32.")
    ] = None

    def medium(self) -> Medium:
        """Return the medium that the two sizes describe.

        Raises:
            UsageError: one of them is no size.
        """
        volume, file = self.volume_size, self.max_file_size
        return Medium(
            volume_bytes=None if volume is None else layout.parse_size(volume, layout.PRESETS),
            file_bytes=None if file is None else layout.parse_size(file, layout.FILE_PRESETS),
            unit=layout.CLUSTER if file == USB else layout.SECTOR,
        )
