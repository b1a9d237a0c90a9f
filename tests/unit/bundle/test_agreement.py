"""A bundle held against its release: what was registered in an enclave comes in on no medium."""

from dataclasses import replace

import pytest

from airlift.bundle import agreement, own
from airlift.bundle.manifest import ReleaseRef
from airlift.bundle.own import Own
from airlift.bundle.release import Release
from airlift.errors import MalformedError
from tests.support.bundle_values import BUNDLE, INSIDE, REGISTERED, TAKEN


def carrying(release: Release) -> Own:
    target = ReleaseRef(release.digest, release.name, release.version)
    files = tuple(entry.content for _, entry in release.files())[:1]
    return own.whole(replace(BUNDLE, target=target, marking=release.marking, files=files))


def test_what_was_registered_comes_in_on_no_medium() -> None:
    """SPEC 5.1-17."""
    _, made, tuned = INSIDE.components
    assert (made.source, tuned.source) == (REGISTERED, TAKEN)
    agreement.check_release(carrying(taken := replace(INSIDE, components=(tuned,))), taken)
    with pytest.raises(MalformedError, match="registered in an enclave, and comes in on no medium") as caught:
        agreement.check_release(carrying(INSIDE), INSIDE)
    assert caught.value.found == "component made, registered in alpha"
