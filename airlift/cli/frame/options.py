"""Options that several commands share, declared once: same name, same meaning, same help."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from airlift.bundle.component.variant import Rule

CPU_QUOTA = "/sys/fs/cgroup/cpu.max"
"""How much of processors a control group may use, as Linux tells it (cgroup-v2, cpu.max)."""

DEPOT = Path("depot")
ENCLAVE = Path("enclave")

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

Variants = Annotated[
    list[str],
    typer.Option(
        "--variant",
        metavar="[COMPONENT=]KEY:VALUE,...",
        default_factory=list,
        show_default=False,
        help="Choose the variant with these labels, of a component or of all; the first choice that fits counts. "
        "May be repeated.",
    ),
]


def rules(given: list[str]) -> "tuple[Rule, ...]":
    """Return the rules that ``--variant`` gives, in order.

    Raises:
        UsageError: one of them is none.
    """
    from airlift.bundle.component.variant import parse_rule

    return tuple(map(parse_rule, given))


def threads(given: int | None, most: int) -> int:
    """Return how many threads ``--workers`` asks for; without it one per processor, but at most ``most``.

    Those count that this process may use, by its affinity and by the quota of its control group.
    """
    return given or max(1, min(processors(), most))


def processors() -> int:
    """Return how many processors this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = Path(CPU_QUOTA).read_text("ascii").split()
        if quota != "max":
            return max(1, min(count, -(-int(quota) // int(period))))
    return count
