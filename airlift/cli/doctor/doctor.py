"""``airlift doctor``, the command that belongs to neither side."""

from typing import Any

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, command
from airlift.cli.frame.output import to_data
from airlift.cli.frame.session import Run
from airlift.errors import UncheckedError


@command(app.root, "doctor", "airlift doctor", "airlift doctor --format json")
def doctor(
    run: Run, *, depot: options.Depot = options.DEPOT, enclave: options.Enclave = options.ENCLAVE
) -> Answer:
    """Check this machine: versions, algorithms, space, clock, permissions, optional parts.

    Exit code 7 if something that airlift needs does not work; warnings do not change the exit code.
    """
    from airlift.cli.doctor.findings import FAIL, WARN, findings

    found = findings(run.now, {"depot": depot, "enclave": enclave})
    data: dict[str, Any] = {
        "checks": to_data(found),
        "warnings": sum(finding.status == WARN for finding in found),
        "failures": sum(finding.status == FAIL for finding in found),
    }
    if data["failures"]:
        raise UncheckedError(
            "this machine is not fit for airlift",
            found="; ".join(f"{f.name}: {f.detail}" for f in found if f.status == FAIL),
            hint="install the locked versions of the libraries, then run `airlift doctor` again",
            data=data,
        )
    rows = [(f.area, f.name, f.status, f.detail) for f in found]
    return Answer(data, lambda page: page.table(["area", "check", "status", "detail"], rows))
