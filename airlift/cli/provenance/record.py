"""``airlift provenance``: verify the record, have it witnessed, keep copies of it, export it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from airlift.cli.frame import app
from airlift.cli.frame.command import Answer, answer, command
from airlift.cli.frame.output import grouped, to_data
from airlift.cli.frame.places import AtEnclave, OnEnclave
from airlift.cli.frame.session import Run
from airlift.errors import UsageError

Kept = Annotated[
    list[Path],
    typer.Option(
        "--checkpoint", metavar="OLD", default_factory=list, show_default=False,
        help="A checkpoint, receipt or proven answer that was kept elsewhere. May be repeated.",
    ),
]  # fmt: skip


Controls = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Your own mapping of evidence to controls; see manifests/controls.yaml."
    ),
]


Witness = Annotated[
    list[Path],
    typer.Option(
        "--witness", metavar="K", default_factory=list, show_default=False,
        help="The public key of a witness that you know; names of others are told as claims. May be repeated.",
    ),
]  # fmt: skip


class Kind(StrEnum):
    """What the record can be exported as."""

    ledger = "ledger"
    intoto = "intoto"
    cyclonedx = "cyclonedx"
    spdx = "spdx"
    oscal = "oscal"


@command(
    app.provenance,
    "verify",
    "airlift provenance verify --checkpoint kept.note",
    "airlift provenance verify --ledger ledger.jsonl --public-key ledger.pub",
)
def verify(
    run: Run,
    *,
    ledger: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An exported ledger; no enclave is needed then.")
    ] = None,
    public_key: Annotated[
        Path | None,
        typer.Option(metavar="K", help="The ledger's public key, from somewhere else than the enclave."),
    ] = None,
    checkpoint: Kept,
    prove: Annotated[
        bool,
        typer.Option(
            "--prove", help="Add the newest checkpoint, and proofs that it continues the kept ones."
        ),
    ] = False,
    at: AtEnclave,
) -> Answer:
    """Prove that the record was not changed: every entry, the tree, every checkpoint's signature."""
    from airlift.high.record import questions
    from airlift.high.record.questions import Grounds
    from airlift.high.record.verify_ledger import read_kept, verify_exported_ledger, verify_ledger
    from airlift.trust.keys.public import load_public

    key = load_public(public_key) if public_key is not None else None
    proof = {}
    if ledger is not None:
        result = verify_exported_ledger(ledger, public_key=key, kept=checkpoint)
    else:
        opened = at.open()
        result = verify_ledger(opened, public_key=key, kept=checkpoint)
        if prove:
            proof = {"proof": questions.prove_answer(opened, Grounds(()), map(read_kept, checkpoint))}
    if key is None:
        run.say(
            "the key is the one that the ledger names for itself; --public-key holds it against another source"
        )
    data = to_data(result)
    return Answer({**data, **proof}, lambda page: page.facts(data))


@command(
    app.provenance,
    "witness",
    "airlift provenance witness --key auditor.key --checkpoint last.note --output new.note",
)
def witness(
    run: Run,
    *,
    key: Annotated[
        str, typer.Option(metavar="KEY", help="The witness's private key: a file, or a pkcs11: URI.")
    ],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Under which name; witness-<key id> by default.")
    ] = None,
    checkpoint: Kept,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the countersigned checkpoint, for the witness to keep."),
    ] = None,
    on: OnEnclave,
) -> Answer:
    """Countersign the newest checkpoint, after checking that nothing which the witness saw before has changed."""
    from airlift.high.record.witness import countersign

    signer = on.passphrases.signer(run, key)
    shown = name or f"witness-{signer.public.key_id[:16]}"
    result = countersign(
        on.open(), signer=signer, name=shown, kept=checkpoint, output=output, dry_run=on.dry_run
    )
    if result.held_against is None:
        run.say("this is the first checkpoint that the witness signs: nothing earlier to hold it against")
    data = {**to_data(result), "dry_run": on.dry_run}
    return Answer(data, lambda page: page.facts({k: v for k, v in data.items() if k != "note"}))


@command(app.provenance, "checkpoint", "airlift provenance checkpoint --output 2026-11-27.note")
def checkpoint(
    run: Run,
    *,
    output: Annotated[Path, typer.Option(metavar="FILE", help="A new file.")],
    at: AtEnclave,
) -> Answer:
    """Write the newest checkpoint, to be kept elsewhere: only against it does a history that was rewritten show."""
    from airlift.high.record.ledger_copies import copy_checkpoint

    del run
    return answer(copy_checkpoint(at.open(), output))


@command(app.provenance, "backup", "airlift provenance backup --output ledger-2026-11-27.db")
def backup(
    run: Run,
    *,
    output: Annotated[Path, typer.Option(metavar="FILE", help="A new file.")],
    at: AtEnclave,
) -> Answer:
    """Write a copy of the ledger's database as of one instant; docs/backup.md tells how to restore it."""
    from airlift.high.record.ledger_copies import back_up_ledger

    del run
    return answer(back_up_ledger(at.open(), output))


@command(
    app.provenance,
    "export",
    "airlift provenance export --as ledger --output ledger.jsonl",
    "airlift provenance export --as cyclonedx --output bom.cdx.json",
    "airlift provenance export --as oscal --witness auditor.pub --output assessment-results.json",
)
def export(
    run: Run,
    *,
    kind: Annotated[Kind, typer.Option("--as", help="What to export.")],
    output: Annotated[Path, typer.Option(metavar="FILE", help="A new file.")],
    release: Annotated[
        str | None,
        typer.Option(
            metavar="RELEASE", help="For cyclonedx and spdx: about this one instead of the active one."
        ),
    ] = None,
    controls: Controls = None,
    witness: Witness,
    at: AtEnclave,
) -> Answer:
    """Write the record for others: the whole ledger, to be verified alone, or a document in a common format.

    intoto: every attestation as it was signed. cyclonedx (1.6) and spdx (3.0.1): the bill of materials of a release.
    oscal: assessment results that map the record's evidence to controls of SP 800-53.
    """
    if kind is not Kind.ledger:
        from airlift.high.record import exports
        from airlift.trust.keys.public import load_public

        written = exports.export_document(
            at.open(), str(kind), output, now=run.now, release=release, controls=controls,
            witnesses=[load_public(path) for path in witness],
        )  # fmt: skip
        return answer(written)
    if release or controls or witness:
        raise UsageError(
            "the ledger is exported whole, with every checkpoint",
            hint="give the witness's key to `airlift-verify --witness`; leave --release and --controls out",
        )
    from airlift.high.record.ledger_copies import export_ledger

    result = export_ledger(at.open(), output)
    data = to_data(result)
    return Answer(data, lambda page: page.facts({**data, "fingerprint": grouped(result.fingerprint)}))


@command(
    app.provenance,
    "report",
    "airlift provenance report --output report.html",
    "airlift provenance report --witness auditor.pub --controls controls.yaml --output report.html",
)
def report(
    run: Run,
    *,
    output: Annotated[Path, typer.Option(metavar="REPORT.html", help="A new file.")],
    controls: Controls = None,
    witness: Witness,
    at: AtEnclave,
) -> Answer:
    """Write one page for people: what is active, where it came from, who allowed it, and how to verify all that.

    It needs nothing from anywhere, runs no scripts, prints well, and bears the marking.
    """
    from airlift.high.record import exports
    from airlift.trust.keys.public import load_public

    keys = [load_public(path) for path in witness]
    return answer(exports.write_report(at.open(), output, now=run.now, controls=controls, witnesses=keys))
