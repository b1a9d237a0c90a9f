"""Who runs a command that changes an enclave, with the ledger key in hand."""

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING

from airlift.cli.frame import options
from airlift.cli.frame.session import Run

if TYPE_CHECKING:
    from airlift.high.enclave.enclave import Enclave, Operator
    from airlift.trust.keys.key import Passphrase

MAX_ACTOR = 64


def actor() -> str:
    """Return the login name in printable ASCII, or the user id of somebody without one."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = ""
    shown = "".join(c for c in name if c.isascii() and c.isprintable())[:MAX_ACTOR]
    return shown or f"uid {os.getuid()}"


def enter(
    run: Run, enclave: Path, passphrase_file: Path | None, passphrase_fd: int | None
) -> "tuple[Enclave, Operator]":
    """Return the enclave of a folder, and its operator.

    Raises:
        NotHeldError: there is no enclave.
        KeyUnavailableError: its ledger key cannot be used.
    """
    from airlift.high.enclave.enclave import open_enclave

    opened = open_enclave(enclave)
    return opened, of_enclave(run, opened, options.passphrase(run, passphrase_file, passphrase_fd))


def of_enclave(run: Run, enclave: "Enclave", ask: "Passphrase") -> "Operator":
    """Return the operator of an enclave that exists.

    Raises:
        KeyUnavailableError: its ledger key cannot be used.
    """
    from airlift.high.enclave.enclave import Operator
    from airlift.trust.keys.key import load_signer

    return Operator(actor(), load_signer(enclave.ledger_key, ask), run.now)
