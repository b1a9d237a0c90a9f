"""Every type of entry, by its name: the one list of what a ledger can hold (SPEC 9.2)."""

from collections.abc import Mapping
from types import MappingProxyType

from airlift.ledger.entries.activations import (
    Abort,
    ActivateCommit,
    ActivatePrepare,
    RollbackCommit,
    RollbackPrepare,
    WithdrawCommit,
    WithdrawPrepare,
)
from airlift.ledger.entries.administration import Enroll, Gc, PolicyChange, Roots, Witness
from airlift.ledger.entries.attestation import RecordedAttestation
from airlift.ledger.entries.exports import Export, Unfollow
from airlift.ledger.entries.governance import FloorChange, Relayed, RevocationsKnown
from airlift.ledger.entries.imports import ImportCommit, ImportPrepare, ImportReject
from airlift.ledger.entries.registration import Registration
from airlift.ledger.entries.shape import Detail

_ALL: tuple[type[Detail], ...] = (
    Enroll,
    ImportPrepare,
    ImportCommit,
    ImportReject,
    ActivatePrepare,
    ActivateCommit,
    RollbackPrepare,
    RollbackCommit,
    Abort,
    PolicyChange,
    Gc,
    RecordedAttestation,
    Witness,
    Roots,
    FloorChange,
    RevocationsKnown,
    WithdrawPrepare,
    WithdrawCommit,
    Relayed,
    Registration,
    Export,
    Unfollow,
)

DETAILS: Mapping[str, type[Detail]] = MappingProxyType({kind.TYPE: kind for kind in _ALL})
"""What an entry says, by the name of its type."""

TYPES = tuple(DETAILS)
"""The names of the types, in the order in which they are listed to people."""

NEW_TYPES = frozenset(
    kind.TYPE
    for kind in (
        FloorChange,
        RevocationsKnown,
        WithdrawPrepare,
        WithdrawCommit,
        Relayed,
        Registration,
        Export,
        Unfollow,
    )
)
"""The types that format 2 of the entries added: an older reader finds them too new, and nothing bad."""

CLOSES: Mapping[str, str] = MappingProxyType(
    {
        ImportCommit.TYPE: ImportPrepare.TYPE,
        ActivateCommit.TYPE: ActivatePrepare.TYPE,
        RollbackCommit.TYPE: RollbackPrepare.TYPE,
        WithdrawCommit.TYPE: WithdrawPrepare.TYPE,
    }
)
"""For each type that commits, the type of the intent that it closes."""

INTENTS = frozenset(CLOSES.values())
SWITCHES = (ActivateCommit.TYPE, RollbackCommit.TYPE)
"""The types that make another release the active one."""

ENDS = (*SWITCHES, WithdrawCommit.TYPE)
"""The types that end the time in which a release was active."""

BRINGING = (ImportCommit.TYPE, Registration.TYPE)
"""The types after which a release is there that may not have been before."""

RECORDING = (ImportCommit.TYPE, RecordedAttestation.TYPE)
"""The types that record attestations."""
