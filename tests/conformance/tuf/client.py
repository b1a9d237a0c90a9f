"""A TUF client for the suite tuf-conformance: airlift's verifier as it is; its medium is a repository on loopback.

    python client.py --metadata-dir DIR init ROOT
    python client.py --metadata-dir DIR --metadata-url URL refresh
    python client.py --metadata-dir DIR --metadata-url URL --target-name NAME
        --target-base-url URL --target-dir DIR download

Nothing of airlift is changed, patched or loosened. What an enclave does around the verifier is done here as there:
the first root is pinned if it signs itself, every root that verifies is kept at once, and the other four files become
the state together or not at all (SPEC 4.4). ``DIR/enclave`` is that state; beside it stand copies under the names
that the suite asks for. Two things are of this program:

- A repository that offers less than is trusted already (``overtaken``) is reported as a failed refresh. An enclave
  goes on with its own metadata then (SPEC 4.4-4), and so does this.
- The look for roots beyond the end of the chain (SPEC 4.4-3), 32 names in a listing of a medium, is answered without
  32 requests.

Exit code 0: done; 1: airlift refused, with its words on standard error; 70: this program failed, which is neither.
"""

import argparse
import hashlib
import os
import sys
import tempfile
import traceback
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from airlift.errors import AirliftError, DigestError, ReplayError, StorageError
from airlift.trust.tuf import metadata, root, verifier
from airlift.trust.tuf.trusted_metadata import TrustedMetadata

SHOWN = ("root", "timestamp", "snapshot", "targets")
BROKEN = 70


def carried(name: str) -> str:
    """Return the name under which an artifact is listed (SPEC 4.2-6); ``airlift_profile`` has it too."""
    return f"release-{hashlib.sha256(name.encode()).hexdigest()}"


def fetch(url: str, limit: int) -> bytes | None:
    """Return what stands at a loopback URL, None if there is nothing.

    Raises:
        DigestError: it is longer than ``limit`` bytes; no more than that is read.
        StorageError: the connection broke off.
    """
    if urlsplit(url).scheme != "http" or urlsplit(url).hostname != "127.0.0.1":
        raise ValueError(f"not on loopback: {url}")
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - http on loopback, see above
            data = bytes(answer.read(limit + 1))
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return None
    except (OSError, HTTPException) as error:
        raise StorageError(f"{url} broke off", found=type(error).__name__) from error
    if len(data) > limit:
        raise DigestError(f"{url} is too long", expected=f"at most {limit} bytes")
    return data


class Repository:
    """The ``metadata`` folder of a medium, read over HTTP."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ended = False

    def read(self, name: str, limit: int) -> bytes | None:
        """Return a metadata file, None if it is not there."""
        is_root = name.endswith(".root.json")
        if is_root and self._ended:
            return None
        data = fetch(f"{self._url.rstrip('/')}/{name}", limit)
        self._ended = self._ended or (is_root and data is None)
        return data


class Enclave:
    """What an enclave keeps of TUF: its roots from the pinned one on, and the state of the other roles."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._roots = folder / "enclave" / "roots"
        self._trust = folder / "enclave" / "trust"

    def pin(self, data: bytes) -> None:
        """Pin a first root that is signed by its own threshold."""
        root.verify_self_signed(data)
        self._roots.mkdir(parents=True)
        self._trust.mkdir()
        self._keep(metadata.version_of(metadata.check(metadata.ROOT, data)), data)

    def refresh(self, url: str) -> TrustedMetadata:
        """Verify what the repository has, and commit it."""
        roots = {int(path.name.split(".")[0]): path.read_bytes() for path in self._roots.glob("*.root.json")}
        if not roots:
            raise ReplayError("no root is pinned")
        with tempfile.TemporaryDirectory(prefix="airlift-") as scratch:
            trusted = verifier.verify_metadata(
                pinned_root=roots[min(roots)],
                roots=roots,
                state={path.name: path.read_bytes() for path in self._trust.iterdir()},
                read=Repository(url).read,
                reference_time=datetime.now(UTC),
                workdir=Path(scratch),
                keep_root=self._keep,
            )
        self._commit(trusted.files)
        if trusted.overtaken:
            raise ReplayError("the repository offers older metadata than what is trusted")
        return trusted

    def _keep(self, version: int, data: bytes) -> None:
        (self._roots / f"{version}.root.json").write_bytes(data)
        (self._folder / "root.json").write_bytes(data)

    def _commit(self, files: Mapping[str, bytes]) -> None:
        for name, data in files.items():
            (self._trust / name).write_bytes(data)
            if name.removesuffix(".json") in SHOWN:
                (self._folder / name).write_bytes(data)


def download(trusted: TrustedMetadata, name: str, url: str, folder: Path) -> None:
    """Fetch an artifact unless it is there already, and store it once it is verified."""
    listed = carried(name)
    target = trusted.target(listed)
    if target is None:
        trusted.verify_target(listed, b"")  # says why not
        raise AssertionError(listed)
    path = folder / listed
    if path.exists() and hashlib.sha512(path.read_bytes()).hexdigest() == target.sha512:
        return
    data = fetch(f"{url.rstrip('/')}/{target.sha512}.{listed}", target.length)
    trusted.verify_target(listed, data or b"")
    path.write_bytes(data or b"")


def main() -> int:
    """Carry out one command of the suite's protocol."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--metadata-url")
    parser.add_argument("--target-name", action="append", default=[])
    parser.add_argument("--target-base-url")
    parser.add_argument("--target-dir", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    said = parser.parse_args()
    enclave = Enclave(said.metadata_dir)
    try:
        if said.command == "init":
            enclave.pin(said.root.read_bytes())
            return 0
        trusted = enclave.refresh(said.metadata_url)
        for name in said.target_name:
            download(trusted, name, said.target_base_url, said.target_dir)
    except AirliftError as error:
        sys.stderr.write(f"{type(error).__name__}: {error.message}; found: {error.found}\n")
        return 1
    return 0


def broken(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End with a code that no test expects: a failure of this program must not pass for a refusal."""
    traceback.print_exception(kind, error, trace)
    sys.stderr.flush()
    os._exit(BROKEN)


if __name__ == "__main__":
    sys.excepthook = broken
    sys.exit(main())
