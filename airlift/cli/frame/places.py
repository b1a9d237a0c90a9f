"""The depot or the enclave that a command works on: its options, and how it is opened with keys in hand."""

import getpass
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airlift.cli.frame import options
from airlift.cli.frame.passphrase import Passphrases
from airlift.cli.frame.session import Run

if TYPE_CHECKING:
    from airlift.high.enclave.enclave import Enclave, Operator
    from airlift.low.depot.depot import Depot
    from airlift.trust.keys.public import Passphrase

MAX_ACTOR = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AtDepot:
    """The depot that a command looks at."""

    depot: options.Depot = options.DEPOT

    def open(self) -> "Depot":
        """Return the depot.

        Raises:
            UncheckedError: there is none.
        """
        from airlift.low.depot.depot import open_depot

        return open_depot(self.depot)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDepot(AtDepot):
    """The depot that a command changes, and what opens the keys that it needs for that."""

    passphrases: Passphrases
    dry_run: options.DryRun = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AtEnclave:
    """The enclave that a command looks at."""

    enclave: options.Enclave = options.ENCLAVE

    def open(self) -> "Enclave":
        """Return the enclave.

        Raises:
            NotHeldError: there is none.
        """
        from airlift.high.enclave.enclave import open_enclave

        return open_enclave(self.enclave)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedEnclave(AtEnclave):
    """The enclave whose ledger key a command signs with."""

    passphrases: Passphrases

    def enter(self, run: Run) -> "tuple[Enclave, Operator]":
        """Return the enclave, and its operator.

        Raises:
            NotHeldError: there is no enclave.
            KeyUnavailableError: its ledger key cannot be used.
        """
        opened = self.open()
        return opened, operator(run, opened.ledger_key, self.passphrases.source(run))


@dataclass(frozen=True, slots=True, kw_only=True)
class OnEnclave(KeyedEnclave):
    """The enclave that a command changes."""

    dry_run: options.DryRun = False


def operator(run: Run, ledger_key: str, ask: "Passphrase") -> "Operator":
    """Return who runs this command, with the ledger key in hand.

    Raises:
        KeyUnavailableError: the key cannot be used.
    """
    from airlift.high.enclave.enclave import Operator
    from airlift.trust.keys.load import load_signer

    return Operator(_actor(), load_signer(ledger_key, ask), run.now)


def _actor() -> str:
    """Return the login name in printable ASCII, or the user id of somebody without one."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = ""
    shown = "".join(c for c in name if c.isascii() and c.isprintable())[:MAX_ACTOR]
    return shown or f"uid {os.getuid()}"
