"""Times a ledger of many entries: appends, questions, full verification, beside the rates of SHA-384 and of fsync.

python -m tests.bench.ledger_speed [ENTRIES]
"""

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from airlift.ledger import audit, export, find, log
from airlift.ledger.entry import Draft
from airlift.trust.keys import generate
from airlift.verify import main as verify_alone
from tests.bench.machine import describe
from tests.support import facts

BATCH = 2000
TIMES = 20


def drafts(count: int) -> Iterator[Draft]:
    """Yield what an enclave writes: of every ten entries one import, its switch, attestations, a rejected medium."""
    first, _ = facts.releases()
    for number in range(count // 10 + 1):
        release = f"{hashlib.sha512(str(number).encode()).hexdigest()}"
        bundle = f"alpha-{number + 1}"
        moment = (
            f"{2026 + number // 9000:04d}-{number // 800 % 12 + 1:02d}-{number // 30 % 28 + 1:02d}T12:00:00Z"
        )
        commit = facts.commit(facts.bundle(number + 1, first, None, day=1), first)
        commit["bundle_manifest"] = hashlib.sha512(f"bundle {number}".encode()).hexdigest()
        commit["components"] = [
            {
                **item,
                "version": str(number),
                "digest": hashlib.sha512(f"{item['name']} {number}".encode()).hexdigest(),
            }
            for item in commit["components"]
        ]
        contents = [hashlib.sha512(f"{number} {n}".encode()).hexdigest() for n in range(6)]
        attested = {
            "sha512": contents[0],
            "kind": "scan",
            "subject": release,
            "passes": True,
            "signers": ["d" * 64],
        }
        for kind, about, detail in (
            ("import-prepare", True, {"bundle_manifest": commit["bundle_manifest"], "sequence": number + 1}),
            ("import-commit", True, commit),
            ("attestation", True, attested),
            ("attestation", True, {**attested, "kind": "approval"}),
            ("activate-prepare", True, {"previous": None}),
            ("activate-commit", True, {"previous": None}),
            ("import-reject", False, {"code": "signature-invalid", "exit": 3}),
            ("import-reject", False, {"code": "digest-mismatch", "exit": 3}),
            ("rollback-prepare", True, {}),
            ("rollback-commit", True, {}),
        ):
            brought = contents if kind == "import-commit" else ()
            yield Draft(kind, "operator", moment, release if about else None, bundle if "import-c" in kind else None,
                        detail, brought)  # fmt: skip


def timed(work: Callable[[], object], times: int = TIMES) -> tuple[float, float]:
    """Return the median and the longest time in milliseconds."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - start))
    return sorted(taken)[times // 2], max(taken)


def fsyncs(folder: Path) -> float:
    """Return the median time in milliseconds that this disk takes to make 4 KiB durable."""
    descriptor = os.open(folder / "sync", os.O_CREAT | os.O_WRONLY)

    def write() -> None:
        os.pwrite(descriptor, os.urandom(4096), 0)
        os.fsync(descriptor)

    try:
        return timed(write)[0]
    finally:
        os.close(descriptor)


def measure(count: int, folder: Path) -> None:
    """Print all figures for a ledger of ``count`` entries."""
    path, signer = folder / "ledger.db", generate()
    log.create(path, "airlift/alpha", signer)
    pending = list(drafts(count))[: count - TIMES]
    with log.open_log(path, "airlift/alpha", writable=True) as writer:
        for start in range(0, len(pending), BATCH):
            writer.append_all(pending[start : start + BATCH], signer)
        extra = iter(drafts(2 * TIMES))
        append = timed(lambda: writer.append_all([next(extra)], signer))
        size = writer.size
    print(f"entries {size}, file {path.stat().st_size / 1e6:.0f} MB, fsync of 4 KiB {fsyncs(folder):.2f} ms")
    print(f"append one entry       median {append[0]:7.1f} ms   longest {append[1]:7.1f} ms")
    with log.open_log(path, "airlift/alpha") as reader:
        middle = count // 20
        digest = hashlib.sha512(str(middle).encode()).hexdigest()
        moment = reader.entry(size // 2).time
        for name, work in (
            ("at", lambda: find.active_at(reader, moment)),
            ("where a release", lambda: find.where(reader, digest, limit=200)),
            ("where a key", lambda: find.where(reader, "d" * 64, limit=200)),
            ("where a holder", lambda: find.where(reader, "Scanner", limit=200)),
            ("history", lambda: find.history(reader, limit=200)),
            ("history since", lambda: find.history(reader, since=moment, limit=200)),
            ("history of a component", lambda: find.history(reader, component="base", limit=200)),
            ("history of one version", lambda: find.history(reader, component=f"base@{middle}", limit=200)),
            (
                "commits of a file",
                lambda: find.commits(reader, hashlib.sha512(f"{middle} 3".encode()).hexdigest()),
            ),
            ("commits of a component", lambda: find.commits(reader, "base")),
            ("prove one entry", lambda: reader.prove(size // 2)),
        ):
            median, longest = timed(work)
            print(f"{name:22} median {median:7.1f} ms   longest {longest:7.1f} ms")
        began = time.perf_counter()
        audit.verify(reader, signer.public)
        print(f"full verification      {time.perf_counter() - began:.1f} s")
        began = time.perf_counter()
        export.write(reader, folder / "ledger.jsonl")
        print(f"export                 {time.perf_counter() - began:.1f} s, "
              f"{(folder / 'ledger.jsonl').stat().st_size / 1e6:.0f} MB")  # fmt: skip
    (folder / "ledger.pub").write_bytes(signer.public.pem())
    began = time.perf_counter()
    verify_alone([str(folder / "ledger.jsonl"), "--public-key", str(folder / "ledger.pub")])
    print(f"airlift-verify         {time.perf_counter() - began:.1f} s")


def main() -> None:
    """Run from the command line."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    for name, text in describe().items():
        print(f"{name:12} {text}")
    start, data = time.perf_counter(), bytes(64 << 20)
    hashlib.sha384(data)
    print(f"SHA-384 {len(data) / 1e9 / (time.perf_counter() - start):.2f} GB/s")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        measure(count, Path(folder))


if __name__ == "__main__":
    main()
