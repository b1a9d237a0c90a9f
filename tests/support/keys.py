"""Throw-away keys, made once per test session."""

from functools import cache
from pathlib import Path

from airlift.trust.keys.file import FileSigner, generate


def signer(name: str, scheme: str = "ml-dsa-87") -> FileSigner:
    """Return the key that belongs to ``name`` in this session."""
    return _made(name, scheme)


@cache
def _made(_name: str, scheme: str) -> FileSigner:
    return generate(scheme)


def write(folder: Path, *names: str, scheme: str = "ml-dsa-87") -> None:
    """Write the key pairs of these people into ``folder``, unencrypted."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        private = folder / f"{name}.key"
        private.write_bytes(signer(name, scheme).private_pem(None))
        private.chmod(0o600)
        (folder / f"{name}.pub").write_bytes(signer(name, scheme).public.pem())
