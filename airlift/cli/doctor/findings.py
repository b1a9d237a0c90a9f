"""Is this machine fit for the work? Everything that is claimed was tried just now."""

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import zstandard
from cryptography.hazmat.backends.openssl import backend

from airlift import __version__, files
from airlift.cli.doctor.trial import trial
from airlift.cli.frame.output import size
from airlift.codec import decoding
from airlift.codec.block import Codec, Effort
from airlift.codec.predict import kernel as prediction_kernel
from airlift.codec.predict.kernel import selftest as prediction_selftest
from airlift.codec.ulp import kernel
from airlift.codec.ulp.kernel import selftest
from airlift.digests import kernel as digest_kernel
from airlift.digests.kernel import selftest as digest_selftest
from airlift.erasure import kernel as parity_kernel
from airlift.erasure.kernel import selftest as parity_selftest
from airlift.errors import AirliftError, DigestError, SignatureError
from airlift.kernels import Choice
from airlift.trust.keys.file import generate
from airlift.trust.keys.public import SCHEMES

OK, WARN, FAIL = "ok", "warn", "fail"
LIBRARIES = (
    "cryptography",
    "tuf",
    "securesystemslib",
    "numpy",
    "zstandard",
    "jsonschema",
    "pyyaml",
    "typer",
    "rich",
)
EXTRAS = {"low": "huggingface_hub", "hsm": "pkcs11", "cluster": "distributed"}
DIGESTS = ("sha512", "sha384", "sha256")
SAMPLE_BYTES = 4 << 20
BLOCK_BYTES = 1 << 20
LOW_SPACE = 1 << 30  # bytes
FIRST_YEAR, LAST_YEAR = 2026, 2099
MESSAGE = b"airlift doctor"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; ``status`` is ok, warn or fail."""

    area: str
    name: str
    status: str
    detail: str


def findings(now: datetime, folders: dict[str, Path]) -> list[Finding]:
    """Try everything that airlift needs: versions, algorithms, space, clock, permissions, optional parts.

    ``folders`` are depot and enclave, which need not exist.
    """
    return [
        *_versions(),
        *_algorithms(),
        *_codecs(),
        *_extras(),
        *_space(folders),
        *_clock(now),
        *_permissions(folders),
    ]


def _versions() -> Iterator[Finding]:
    yield Finding("versions", "airlift", OK, __version__)
    yield Finding("versions", "python", OK, platform.python_version())
    yield Finding("versions", "kernel", OK, f"{platform.system()} {platform.release()} {platform.machine()}")
    yield Finding("versions", "openssl", OK, backend.openssl_version_text())
    yield Finding("versions", "sqlite", OK, sqlite3.sqlite_version)
    for name in LIBRARIES:
        try:
            yield Finding("versions", name, OK, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding("versions", name, WARN, "no version recorded")


def _algorithms() -> Iterator[Finding]:
    for scheme in SCHEMES:
        try:
            yield Finding("algorithms", scheme, OK, _try_scheme(scheme))
        except AirliftError as error:
            yield Finding("algorithms", scheme, FAIL, error.message)
    sample = bytes(SAMPLE_BYTES)
    for name in DIGESTS:
        start = time.perf_counter()
        hashlib.new(name, sample).digest()
        seconds = max(time.perf_counter() - start, 1e-9)  # a frozen clock is no reason to fail
        yield Finding("algorithms", name, OK, f"{SAMPLE_BYTES / seconds / 1e6:.0f} MB/s")


def _try_scheme(scheme: str) -> str:
    """Sign, verify, and demand that a signature over something else is refused; return the times.

    Raises:
        AirliftError: any of it goes wrong.
    """
    signer = generate(scheme)
    start = time.perf_counter()
    signature = signer.sign(MESSAGE)
    signed = time.perf_counter()
    signer.public.verify(signature, MESSAGE)
    verified = time.perf_counter()
    try:
        signer.public.verify(signature, MESSAGE + b".")
    except SignatureError:
        return f"sign {1000 * (signed - start):.1f} ms, verify {1000 * (verified - signed):.1f} ms, forgery refused"
    raise SignatureError("a forged signature was accepted")


def _codecs() -> Iterator[Finding]:
    yield Finding("codecs", "libzstd", OK, ".".join(map(str, zstandard.ZSTD_VERSION)))
    choice, parity = kernel.chosen(), parity_kernel.chosen()
    yield _kernel("kernel", choice, kernel.names(), good=selftest.passes(choice.kernel))
    good = parity_selftest.passes(parity.kernel)
    yield _kernel("parity kernel", parity, parity_kernel.names(), good=good)
    prediction = prediction_kernel.chosen()
    good = prediction.kernel == prediction_kernel.Nothing() or prediction_selftest.passes(prediction.kernel)
    yield _kernel("prediction kernel", prediction, prediction_kernel.names(), good=good)
    yield _digests()
    for codec in decoding.CODECS.values():
        try:
            yield Finding("codecs", codec.name, OK, _try_codec(codec))
        except AirliftError as error:
            yield Finding("codecs", codec.name, FAIL, error.message)


def _digests() -> Finding:
    choice, using = digest_kernel.chosen(), digest_kernel.default()
    found = _kernel("digest kernel", choice, digest_kernel.names(), good=digest_selftest.passes(using))
    if found.status == OK and using != choice.kernel:
        return replace(found, detail=f"{using.name} alone is used: it is in FIPS mode")
    return found


def _kernel(title: str, choice: Choice[Any], names: list[str], *, good: bool) -> Finding:
    if not good:
        return Finding("codecs", title, FAIL, f"{choice.kernel.name} does not give the known answer")
    if choice.refused:
        detail = f"{choice.refused} does not give the known answer: {choice.kernel.name} is used, slower"
        return Finding("codecs", title, WARN, detail)
    return Finding("codecs", title, OK, f"{choice.kernel.name} gives the known answer, of {', '.join(names)}")


def _try_codec(codec: Codec) -> str:
    """Code a block, decode it, and demand the same bytes; return the size and the speed.

    Raises:
        AirliftError: it is not coded, or comes back as something else.
    """
    given = trial(codec, BLOCK_BYTES)
    length = len(given.target)
    payload = codec.encode(given.target, given.context, Effort.NORMAL)
    if payload is None:
        raise DigestError("a block was not coded")
    start = time.perf_counter()
    decoded = decoding.decode(codec.id, payload, given.sources, length, given.element)
    seconds = max(time.perf_counter() - start, 1e-9)
    if decoded != given.target:
        raise DigestError("a block came back as something else")
    speed = length / seconds / 1e6
    return f"round trip same, {len(payload)} for {length} bytes, decoded at {speed:.0f} MB/s"


def _extras() -> Iterator[Finding]:
    for extra, module in EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        yield Finding("optional", extra, OK, f"{module} is {'installed' if there else 'not installed'}")


def _space(folders: dict[str, Path]) -> Iterator[Finding]:
    for name, folder in folders.items():
        free = files.free_bytes(_existing(folder))
        yield Finding("space", name, OK if free >= LOW_SPACE else WARN, f"{size(free)} free at {folder}")


def _existing(folder: Path) -> Path:
    path = folder.absolute()
    while not path.exists():
        path = path.parent
    return path


def _clock(now: datetime) -> Iterator[Finding]:
    sane = FIRST_YEAR <= now.year <= LAST_YEAR
    yield Finding("clock", "time", OK if sane else WARN, f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _permissions(folders: dict[str, Path]) -> Iterator[Finding]:
    mask = os.umask(0o077)
    os.umask(mask)
    yield Finding("permissions", "umask", OK if mask & 0o022 == 0o022 else WARN, f"{mask:04o}")
    user = os.geteuid()
    yield Finding(
        "permissions", "user", OK, f"uid {user}{' (root: permissions do not bind)' if user == 0 else ''}"
    )
    for name, folder in folders.items():
        if not folder.is_dir():
            continue
        writable = os.access(folder, os.W_OK)
        shared = folder.stat().st_mode & 0o022 != 0
        detail = (
            "others may write here" if shared else "writable" if writable else "not writable by this user"
        )
        yield Finding("permissions", name, WARN if shared or not writable else OK, detail)
