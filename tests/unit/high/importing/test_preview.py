"""Prove: everything about a bundle is verified, and each thing once."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from airlift import files
from airlift.errors import BaselineError, DigestError, IncompleteError
from airlift.high.enclave.enclave import Enclave
from airlift.high.governance.attestations import carried_details
from airlift.high.importing.preview import prove_bundle
from airlift.high.verification.verify_bundle import verify_bundle
from airlift.ledger.state import State
from airlift.trust.keys.public import PublicKey
from airlift.trust.statements import dsse
from airlift.trust.tuf import verifier
from tests.support.depots import NOW
from tests.support.enclaves import enclave, flip, volumes, world

pytestmark = pytest.mark.usefixtures("quick_disk")


@pytest.fixture(name="count")
def _count(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what is done, by name, and how often each file is read, by path."""
    found: Counter[str] = Counter()

    def counting(owner: Any, name: str, told: Any) -> None:
        real = getattr(owner, name)

        def called(*args: Any, **named: Any) -> Any:
            found[told(*args)] += 1
            return real(*args, **named)

        monkeypatch.setattr(owner, name, called)

    counting(files, "read_bounded", lambda path, *_: str(path))
    counting(files, "read_large", lambda path, *_: str(path))
    counting(verifier, "verify_metadata", lambda: "refresh")
    counting(Enclave, "state", lambda _self: "state")
    counting(PublicKey, "verify", lambda *_: "signature")
    counting(dsse, "signed_by", lambda *_: "attestation")
    return found


def test_each_thing_is_verified_once(tmp_path: Path, count: Counter[str]) -> None:
    """Broke: `high verify` planned the import, and then verified all of it again for the chunks."""
    place, paths = enclave("fresh", tmp_path), volumes("full", tmp_path)
    count.clear()
    result = prove_bundle(place, paths, NOW)
    assert (result.files_built, result.missing, result.objections) == (5, (), ())
    read = {str(path): count[str(path)] for folder in paths for path in folder.rglob("*") if path.is_file()}
    assert read == dict.fromkeys(read, 1)
    assert (count["refresh"], count["state"]) == (1, 1)
    once, attested = count["signature"], count["attestation"]
    count.clear()

    def verify(state: State) -> None:
        verified = verify_bundle(place, paths, state, NOW)
        assert len(verified.attestations) == attested > 0
        carried_details(place, state, verified)

    place.look(verify)
    assert once == count["signature"]


def test_what_is_bad_missing_or_not_held_is_told(tmp_path: Path) -> None:
    place, paths = enclave("fresh", tmp_path), volumes("full", tmp_path)
    with pytest.raises(IncompleteError) as caught:
        prove_bundle(place, paths[1:], NOW)
    assert caught.value.data["missing"]
    with pytest.raises(BaselineError):
        prove_bundle(place, world().bundles["delta"], NOW)
    chunk = min((paths[2] / "chunks").iterdir())
    flip(chunk, 50)
    with pytest.raises(DigestError):
        prove_bundle(place, paths, NOW)
