"""Exports: write what the record says in the formats that others read, and the report (SPEC 15)."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from airlift.errors import UsageError
from airlift.evidence.documents import cyclonedx, intoto, oscal, spdx
from airlift.evidence.facts import Facts
from airlift.evidence.report import page
from airlift.high.enclave.enclave import Enclave
from airlift.high.record.gather import gather_facts
from airlift.high.record.new_file import check_new, write_new
from airlift.trust.keys.public import PublicKey

OF_RELEASE = ("cyclonedx", "spdx")
"""The formats that are about one release."""
FORMATS: Mapping[str, Callable[[Facts, str | None], bytes]] = {
    "cyclonedx": cyclonedx.format,
    "spdx": spdx.format,
    "oscal": lambda facts, _release: oscal.format(facts),
    "intoto": lambda facts, _release: intoto.format(facts),
}
"""What makes a document of facts about a release (by digest, None: the active one)."""


@dataclass(frozen=True, slots=True)
class DocumentResult:
    """What was written where, about which release, and as of which ledger."""

    output: str
    bytes: int
    release: str | None
    entries: int
    root: str


def export_document(
    enclave: Enclave,
    kind: str,
    output: Path,
    *,
    now: datetime,
    release: str | None = None,
    controls: Path | None = None,
    witnesses: Collection[PublicKey] = (),
) -> DocumentResult:
    """Write the document of ``kind`` about an installed release, by default the active one.

    ``witnesses`` are keys of witnesses that whoever asks knows.

    Raises:
        ExistsError: ``output`` exists.
        UsageError: a release or controls for a kind of document that is not about one.
        NotHeldError: the release is not installed.
        LedgerError, SignatureError: the record was changed.
    """
    check_new(output)
    for given, word, kinds in ((release, "--release", OF_RELEASE), (controls, "--controls", ("oscal",))):
        if given is not None and kind not in kinds:
            raise UsageError(f"{word} is for {' and '.join(kinds)}", hint=f"leave {word} out for {kind}")
    chosen = enclave.find_release(release, enclave.state()).digest if release is not None else None
    facts = gather_facts(enclave, now, controls_file=controls, witnesses=witnesses)
    return _write(facts, FORMATS[kind](facts, chosen), output, chosen)


def write_report(
    enclave: Enclave,
    output: Path,
    *,
    now: datetime,
    controls: Path | None = None,
    witnesses: Collection[PublicKey] = (),
) -> DocumentResult:
    """Write the report about an enclave; ``witnesses`` as in :func:`export_document`.

    Raises:
        ExistsError: ``output`` exists.
        LedgerError, SignatureError: the record was changed.
    """
    check_new(output)
    facts = gather_facts(enclave, now, controls_file=controls, witnesses=witnesses)
    return _write(facts, page.format(facts), output)


def _write(facts: Facts, data: bytes, output: Path, release: str | None = None) -> DocumentResult:
    """Write a document that was made of ``facts`` to a new file; return what was written."""
    write_new(output, data)
    about = facts.releases.get(release or facts.active or "")
    return DocumentResult(
        str(output), len(data), about.label if about else None, facts.ledger.size, facts.ledger.root.hex()
    )
