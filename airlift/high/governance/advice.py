"""Advice with a refusal: what is held that would do, and the command that makes it active (SPEC 7.5-4)."""

from collections.abc import Iterator, Sequence

from airlift.bundle.release import Release
from airlift.errors import FloorError, RefusedError, RequirementError, RevokedError
from airlift.high.enclave.enclave import Enclave
from airlift.ledger.state import State
from airlift.policy.objections import meets

ADVISED = (FloorError, RequirementError, RevokedError)
"""What another release may not have against it; the rest is not a matter of which release it is."""


def advise(enclave: Enclave, state: State, refused: Sequence[RefusedError], fits: Release | None) -> None:
    """Complete refusals: what is lacking and where it is, and the newest held release that fits, if any does."""
    for error in refused:
        error.data["fits"] = fits.label if fits else None
        error.hint = "; ".join([*_where(enclave, state, error), *_instead(fits)]) or _nothing(enclave, state)


def _instead(fits: Release | None) -> Iterator[str]:
    if fits is not None:
        yield f"{fits.label} is held and may run: `airlift high activate {fits.label}`"


def _nothing(enclave: Enclave, state: State) -> str:
    """Return what there is to know and to do where nothing else that is held would do."""
    active = "" if state.active is None else f", and {enclave.load_release(state.active).label} stays active"
    return (
        f"nothing else that is held may run{active}; "
        "ask the low side for what may: `airlift high receipt --output receipt.json` tells it what is held"
    )


def _where(enclave: Enclave, state: State, error: RefusedError) -> Iterator[str]:
    """Yield where a component is that a requirement asks for: in a held release, or in an imported bundle."""
    if "needs" not in error.data:
        return
    needs, version = error.data["needs"]["name"], error.data["needs"]["version"]
    for bundle in reversed(state.bundles):
        release = enclave.load_release(bundle.release) if bundle.release is not None else None
        if release is None or not meets(release, needs, version):
            continue
        held = release.digest in state.installed
        error.data["held_by" if held else "brought_by"] = release.label if held else bundle.bundle
        where = f"the held release {release.label}" if held else f"bundle {bundle.bundle}, removed since,"
        yield f"{where} has {needs} {version}"
        return
    yield f"no release that was imported here has {needs} {version}: ask the low side for one"
