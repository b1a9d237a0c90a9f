"""Makes the repository of tuf-conformance speak airlift's profile of TUF (SPEC 4.1, 4.2): a plugin of its pytest.

It runs in the suite's own environment, without airlift: documents are made, and signed, by python-tuf and
securesystemslib. The tests of the suite and the client are as they are. What the profile adds to the simulator:

- A key that a test does not choose is of ML-DSA-87 and ECDSA P-384 in turn, and has a holder.
- There is one delegation, to ``bundler``. Its requests are left out of the statistics, which know four roles.
- Snapshot and timestamp state length and SHA-512 always; artifacts get SHA-512 unless the test chooses.
- Root has no key that no role uses; roles, snapshot and bundler have the members that begin with ``x-airlift-``.
- An artifact is listed and asked for as ``release-`` and the SHA-256 of its name.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from securesystemslib.signer._crypto_signer import CryptoSigner
from tuf.api._payload import DelegatedRole, Root, Snapshot, TargetFile, Targets
from tuf_conformance._internal import repository_simulator, simulator_server
from tuf_conformance._internal.repository_simulator import NUM_SIGNERS, SIGNERS, Artifact, RepositorySimulator

BUNDLER = "bundler"
ML_DSA, ECDSA = ("ml-dsa", "ml-dsa-87/1"), ("ecdsa", "ecdsa-sha2-nistp384")
_PREFIX = "release-"
_DAYS = {"x-airlift-expiry-days": 30}

SIGNERS[ML_DSA] = [CryptoSigner.generate_mldsa(scheme=ML_DSA[1]) for _ in range(NUM_SIGNERS)]
SIGNERS[ECDSA] = [CryptoSigner.generate_ecdsa(scheme=ECDSA[1]) for _ in range(NUM_SIGNERS)]


def carried(name: str) -> str:
    """Return the name under which an artifact is listed; ``client`` has it too."""
    return f"{_PREFIX}{hashlib.sha256(name.encode()).hexdigest()}"


class AirliftRepository(RepositorySimulator):  # type: ignore[misc] # the suite is not installed where mypy runs
    """The suite's repository simulator with documents that airlift's profile allows."""

    def __init__(self, dump_dir: str | None) -> None:
        self._made = 0
        super().__init__(dump_dir)

    @property
    def compute_metafile_hashes_length(self) -> bool:
        """True: the profile has no metadata without digests."""
        return True

    @compute_metafile_hashes_length.setter
    def compute_metafile_hashes_length(self, value: bool) -> None:
        """Take no heed of what a test wants here."""

    def new_signer(self, keytype: str = "", scheme: str = "") -> Any:
        """Return a signer of the schemes that a test names, or of the two of airlift in turn."""
        if not keytype:
            self._made += 1
            keytype, scheme = (ECDSA, ML_DSA)[self._made % 2]
        signer = super().new_signer(keytype, scheme)
        signer.public_key.unrecognized_fields["x-airlift-holder"] = "somebody"
        return signer

    def publish(self, roles: Iterable[str], verify_version: bool = True) -> None:
        """Publish roles one by one, each with what the profile wants of it."""
        if BUNDLER not in self.mds:
            delegation = DelegatedRole(BUNDLER, [], 1, True, ["bundle-*"])
            self.add_delegation(Targets.type, delegation, Targets(expires=self.safe_expiry))
            self.publish([BUNDLER])
        for role in roles:
            self._dress(role)
            super().publish([role], verify_version)

    def add_artifact(self, role: str, data: bytes, path: str) -> None:
        """Add an artifact with the digest of the profile."""
        target = TargetFile.from_data(path, data, ["sha512"])
        self.any_targets(role).targets[path] = target
        self.artifacts[path] = Artifact(data, target)

    def fetch(self, path: str) -> bytes:
        """Serve an artifact by its carried name; leave the bundler out of the statistics."""
        known = {carried(original): original for original in self.artifacts}
        asked = re.fullmatch(r"targets/(\w+)\.(.*)", path)
        if asked and asked[2] in known:
            folder, slash, base = known[asked[2]].rpartition("/")
            path = f"targets/{folder}{slash}{asked[1]}.{base}"
        try:
            return bytes(super().fetch(path))
        finally:
            self.metadata_statistics[:] = [item for item in self.metadata_statistics if item[0] != BUNDLER]

    def _compute_hashes_and_length(self, role: str) -> tuple[dict[str, str], int]:
        data = self.signed_mds[role][-1]
        return {"sha512": hashlib.sha512(data).hexdigest()}, len(data)

    def _dress(self, role: str) -> None:
        signed = self.mds[role].signed
        if role == Root.type:
            _dress_root(signed)
        elif role == Snapshot.type:
            signed.unrecognized_fields["x-airlift-root-version"] = self.root.version
        elif role == BUNDLER:
            signed.unrecognized_fields["x-airlift-sequence"] = 0
        if isinstance(signed, Targets):
            _dress_targets(signed)


def _dress_root(root: Any) -> None:
    used = {key_id for role in root.roles.values() for key_id in role.keyids}
    root.keys = {key_id: key for key_id, key in root.keys.items() if key_id in used}
    for role in root.roles.values():
        role.unrecognized_fields.update(_DAYS)


def _dress_targets(targets: Any) -> None:
    if targets.delegations is not None and targets.delegations.roles is not None:
        for role in targets.delegations.roles.values():
            role.unrecognized_fields = {**(role.unrecognized_fields or {}), **_DAYS}
    # what a test lists anew stands last, so it wins over what was listed under the carried name before
    renamed = [
        (name if name.startswith(_PREFIX) else carried(name), file) for name, file in targets.targets.items()
    ]
    targets.targets = dict(renamed)


repository_simulator.RepositorySimulator = AirliftRepository
simulator_server.RepositorySimulator = AirliftRepository
