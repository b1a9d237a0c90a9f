"""Switch the active release: intent, one atomic rename, commit; used by activate and by roll back (SPEC 7.5)."""

from airlift import files
from airlift.bundle.release import Release
from airlift.errors import ContentDamagedError
from airlift.high.enclave.enclave import Enclave, Operator
from airlift.high.importing.commit import release_detail
from airlift.ledger.entries.activations import SwitchPrepare
from airlift.ledger.state import State


def switch(
    enclave: Enclave, release: Release, state: State, operator: Operator, kind: type[SwitchPrepare]
) -> None:
    """Make an installed release the active one; ``kind`` says as what. The caller holds the lock.

    The set moves at once: models, guards and policies are one folder behind one link.

    Raises:
        ContentDamagedError: the release's tree has vanished.
    """
    if not enclave.release_path(release.digest).is_dir():
        raise ContentDamagedError(
            f"the tree of release {release.label} has vanished",
            expected=str(enclave.release_path(release.digest)),
        )
    intent = kind(state.active, release_detail(release))
    enclave.record(operator, intent, release=release.digest)
    files.point_link(enclave.active, enclave.active_target(release.digest))
    enclave.record(operator, intent.commit(), release=release.digest)
