"""Times a record of many entries: appends, questions, full verification, beside the rates of SHA-384 and of fsync.

python -m tests.bench.ledger_speed [ENTRIES]
"""

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airlift.bundle import manifest
from airlift.bundle import release as releases
from airlift.bundle.release import Release
from airlift.high.enclave.enclave import Enclave
from airlift.high.record import questions
from airlift.high.record.verify_ledger import verify_ledger
from airlift.ledger import export, kept_state, log
from airlift.ledger.entry import Draft
from airlift.ledger.log import Log
from airlift.trust.keys.file import FileSigner, generate
from airlift.verify import main as verify_alone
from tests.bench.machine import describe
from tests.support import facts

BATCH = 2000
TIMES = 20
EACH = 10
"""How many entries an import comes with."""


class Record:
    """An enclave's ledger and history: of every ten entries one import of a release of its own, and what follows."""

    def __init__(self, folder: Path, count: int) -> None:
        self.place = Enclave(folder, "alpha", "none")
        self.signer: FileSigner = generate()
        self.count = count
        self.place.history.folder.mkdir()
        log.create(self.place.ledger_path, self.place.origin, self.signer)

    def make(self) -> None:
        """Write all entries but the last TIMES, many at a time."""
        pending = list(self._drafts())[: self.count - TIMES]
        with self.place.ledger(writable=True) as writer:
            for start in range(0, len(pending), BATCH):
                writer.append_all(pending[start : start + BATCH], self.signer)

    def _drafts(self) -> Iterator[Draft]:
        first, before = facts.releases()[0], None
        for number in range(self.count // EACH + 1):
            components = tuple(
                facts.component(c.name, c.kind, f"1.{number}", parents=c.parents) for c in first.components
            )
            release = replace(first, version=str(number), components=components)
            yield from self._import(number, release, before)
            before = release

    def _import(self, number: int, release: Release, before: Release | None) -> Iterator[Draft]:
        bundle = replace(facts.bundle(1, release, before, day=1), sequence=number + 1)
        for data in (releases.format(release), manifest.format(bundle)):
            self.place.history.path(hashlib.sha512(data).hexdigest()).write_bytes(data)
        moment = (
            f"{2026 + number // 9000:04d}-{number // 800 % 12 + 1:02d}-{number // 30 % 28 + 1:02d}T12:00:00Z"
        )
        scan = {"sha512": facts.sha512(f"scan {number}"), "kind": "scan", "subject": release.digest, "passes": True,
                "signers": ["d" * 64], "holders": {"d" * 64: "Scanner"}}  # fmt: skip
        active = facts.switched(None, release)
        details: tuple[tuple[str, dict[str, Any]], ...] = (
            ("import-prepare", facts.prepare(bundle)),
            ("import-commit", facts.commit(bundle, release)),
            ("attestation", scan),
            ("attestation", {**scan, "kind": "approval"}),
            ("activate-prepare", active),
            ("activate-commit", active),
            ("import-reject", {"code": "signature-invalid", "exit": 3}),
            ("import-reject", {"code": "digest-mismatch", "exit": 3}),
            ("rollback-prepare", active),
            ("rollback-commit", active),
        )
        for kind, detail in details:
            about = None if kind == "import-reject" else release.digest
            brought = release.digests() if kind == "import-commit" else ()
            carrier = bundle.id if kind.startswith("import-") and about else None
            yield Draft(kind, "operator", moment, about, carrier, detail, brought)


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


def appends(record: Record, writer: Log) -> None:
    """Print what one entry takes, durable and with its checkpoint."""
    extra = iter(
        [Draft("policy", "operator", "2040-01-01T00:00:00Z", detail={"sha512": "e" * 128, "keys": {}})]
        * TIMES
    )
    median, longest = timed(lambda: writer.append_all([next(extra)], record.signer))
    print(f"{'append one entry':24} median {median:7.1f} ms   longest {longest:7.1f} ms")


def asked(record: Record) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield every question, by what it asks for: what is in the middle of the history, and what is everywhere."""
    place, middle = record.place, record.count // EACH // 2
    file = facts.component("guard", "guard", f"1.{middle}").files[0].sha512
    trace, history = questions.trace(place, f"guard@1.{middle}"), questions.history(place, limit=200)
    yield "show, trace: one version", lambda: questions.trace(place, f"guard@1.{middle}")
    yield "show, trace: all versions", lambda: questions.trace(place, "base")
    yield "show, trace: a file", lambda: questions.trace(place, file)
    yield "show, trace: a bundle", lambda: questions.trace(place, f"alpha-{middle}")
    yield "at", lambda: questions.active_at(place, datetime(2026, 6, 1, tzinfo=UTC))
    yield "during: one version", lambda: questions.active_during(place, f"guard@1.{middle}", 10)
    yield "during: all versions", lambda: questions.active_during(place, "guard", 10)
    yield "where: a key", lambda: questions.mentions(place, "c" * 64, limit=200)
    yield "where: a holder", lambda: questions.mentions(place, "Scanner", limit=200)
    yield "where: a file's release", lambda: questions.mentions(place, f"guard@1.{middle}", limit=200)
    yield "history", lambda: questions.history(place, limit=200)
    yield (
        "history: since",
        lambda: questions.history(place, since=datetime(2026, 6, 1, tzinfo=UTC), limit=200),
    )
    yield "history: a component", lambda: questions.history(place, component="guard", limit=200)
    yield "proof of a trace", lambda: questions.prove_answer(place, trace.grounds)
    yield "proof of 200 entries", lambda: questions.prove_answer(place, history.grounds)


def states(record: Record) -> None:
    """Print what the state of the enclave takes (as `high status` and imports ask for it), folded and kept."""
    place = record.place

    def told(name: str, times: int, more: str = "") -> None:
        begun = time.process_time()
        median, longest = timed(place.state, times)
        used = 1000 * (time.process_time() - begun) / times
        print(f"{name:24} median {median:7.1f} ms   longest {longest:7.1f} ms   CPU {used:7.1f} ms{more}")

    told("state: all entries", 3)
    with place.ledger(writable=True) as writer:
        kept_state.keep(writer, place.state_path, record.signer)
    told("state: kept, read once", 1, f"; {place.state_path.stat().st_size / 1e6:.1f} MB")
    told("state: kept, read again", 5)


def whole(record: Record, folder: Path) -> None:
    """Print what it takes to verify everything, in the enclave and from an export."""
    began = time.perf_counter()
    verify_ledger(record.place, public_key=record.signer.public)
    print(f"{'full verification':24} {time.perf_counter() - began:.1f} s")
    began = time.perf_counter()
    with record.place.ledger() as reader:
        export.write(reader, folder / "ledger.jsonl")
    size = (folder / "ledger.jsonl").stat().st_size / 1e6
    print(f"{'export':24} {time.perf_counter() - began:.1f} s, {size:.0f} MB")
    (folder / "ledger.pub").write_bytes(record.signer.public.pem())
    began = time.perf_counter()
    verify_alone([str(folder / "ledger.jsonl"), "--public-key", str(folder / "ledger.pub")])
    print(f"{'airlift-verify':24} {time.perf_counter() - began:.1f} s")


def measure(count: int, folder: Path) -> None:
    """Print all figures for a ledger of ``count`` entries."""
    record = Record(folder, count)
    record.make()
    with record.place.ledger(writable=True) as writer:
        appends(record, writer)
        size = record.place.ledger_path.stat().st_size / 1e6
        print(f"{writer.size} entries, {size:.0f} MB; this disk syncs 4 KiB in {fsyncs(folder):.2f} ms")
    for name, work in asked(record):
        median, longest = timed(work)
        print(f"{name:24} median {median:7.1f} ms   longest {longest:7.1f} ms")
    whole(record, folder)


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
