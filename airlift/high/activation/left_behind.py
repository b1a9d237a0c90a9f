"""What was trained inside and is not part of the release that runs next: whoever switches is told (SPEC 8.6-10)."""

from airlift.bundle.component import source
from airlift.bundle.release import Release
from airlift.high.enclave.enclave import Enclave
from airlift.ledger.state import State


def left_behind(enclave: Enclave, state: State, release: Release) -> tuple[str, ...]:
    """Return the registered components (``name@version``) of what is active in ``state`` that ``release`` lacks."""
    if state.active is None or state.active == release.digest:
        return ()
    names = {component.name for component in release.components}
    return tuple(
        f"{component.name}@{component.version}"
        for component in enclave.load_release(state.active).components
        if source.is_registered(component.source) and component.name not in names
    )
