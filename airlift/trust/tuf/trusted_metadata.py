"""Verified metadata as a value, apart from the verifier so that its users need not load the TUF client (SPEC 4.4)."""

from collections.abc import Mapping
from dataclasses import dataclass

from airlift.errors import ReplayError, SignatureError
from airlift.trust.tuf.targets import BUNDLE_PREFIX, Target


@dataclass(frozen=True, slots=True)
class TrustedMetadata:
    """Verified metadata: the newer of the enclave's own and the medium's.

    ``files`` is the state to commit (timestamp, snapshot, targets and bundler.json), ``roots`` the verified chain
    from the pinned root on. ``versions``, ``expires`` and ``signers`` (key ids whose signatures verify) are by role.
    """

    files: Mapping[str, bytes]
    roots: Mapping[int, bytes]
    versions: Mapping[str, int]
    expires: Mapping[str, str]
    overtaken: bool
    sequence: int
    holders: Mapping[str, str]
    signers: Mapping[str, tuple[str, ...]]
    bundler_key_ids: tuple[str, ...]
    targets: Mapping[str, Target]

    def target(self, name: str) -> Target | None:
        """Return the target of that name, or None if it is not listed."""
        return self.targets.get(name)

    def verify_target(self, name: str, data: bytes) -> None:
        """Check that ``data`` is what was signed under ``name``.

        Raises:
            DigestError: its length or digest differs.
            ReplayError: it is a bundle that is no longer listed as outstanding.
            SignatureError: the release authority signed nothing under that name.
        """
        target = self.target(name)
        if target is None and name.startswith(BUNDLE_PREFIX):
            raise ReplayError("the bundle is not listed as outstanding", found=name)
        if target is None:
            raise SignatureError(
                "the release authority signed nothing under this name", found=ascii(name[:100])
            )
        target.check_bytes(data)
