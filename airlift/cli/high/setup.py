"""``airlift high``: enrol an enclave, and keep its policy."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, command
from airlift.cli.frame.output import grouped, to_data
from airlift.cli.frame.places import AtEnclave, OnEnclave, operator
from airlift.cli.frame.session import Run

if TYPE_CHECKING:
    from airlift.high.enclave.policy import PolicyDocument

URI = "pkcs11:"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEnclave:
    """What an enclave is made of."""

    root: Annotated[Path, typer.Option(metavar="ROOT.json", help="The low side's root.json.")]
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The enclave's name; its folder's by default.")
    ] = None
    ledger_key: Annotated[str, typer.Option(metavar="KEY", help="The private key that signs checkpoints.")]
    expect_fingerprint: Annotated[
        str | None, typer.Option(metavar="F", help="The root's fingerprint as it came by another channel.")
    ] = None
    policy: Annotated[Path | None, typer.Option(metavar="POLICY.yaml", help="Safe defaults without it.")] = (
        None
    )
    minimum_sequence: Annotated[int, typer.Option(metavar="N", help="Accept no bundle before it.")] = 1


@command(
    app.high,
    "init",
    "airlift high init --root root.json --name alpha --ledger-key ledger.key --policy policy.yaml",
)
def init(run: Run, *, new: NewEnclave, yes: options.Yes = False, on: OnEnclave) -> Answer:
    """Make an enclave that trusts a root, after its fingerprint was compared out of band."""
    from airlift.high.enclave import init as making

    expected = new.expect_fingerprint
    if expected is None:
        expected = _compared(run, new.root, yes=yes)
    key = new.ledger_key if new.ledger_key.startswith(URI) else str(Path(new.ledger_key).absolute())
    name = new.name or on.enclave.absolute().name
    result = making.init_enclave(
        on.enclave,
        making.NewEnclave(name, new.root, expected, key, new.policy, new.minimum_sequence),
        operator=operator(run, key, on.passphrases.source(run)),
        dry_run=on.dry_run,
    )
    data = {**to_data(result), "dry_run": on.dry_run}
    shown = data | {long: grouped(data[long]) for long in ("fingerprint", "ledger_key")}
    return Answer(data, lambda page: page.facts(shown))


def _compared(run: Run, root: Path, *, yes: bool) -> str:
    """Return the fingerprint of a root that a person has compared."""
    from airlift.high.enclave.init import root_fingerprint

    found = root_fingerprint(root)
    run.say(f"the fingerprint of {root} is:")
    run.say(f"  {grouped(found)}")
    run.confirm(
        "is it the one that the low side told you over another channel?",
        yes=yes,
        flag="--expect-fingerprint F, or --yes once it was compared",
    )
    return found


@command(app.policy, "show", "airlift high policy show")
def show(run: Run, *, at: AtEnclave) -> Answer:
    """Show the policy in force, as the ledger recorded it."""
    from airlift.high.enclave.policy import load_document

    del run
    opened = at.open()
    document = load_document(opened, opened.state())
    return _policy(document)


@command(app.policy, "set", "airlift high policy set policy.yaml")
def set_(
    run: Run,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new policy; its keys lie beside it.")],
    *,
    on: OnEnclave,
) -> Answer:
    """Put a policy in force; the change is an entry in the ledger."""
    from airlift.high.activation.change_policy import change_policy

    opened, acting = on.enter(run)
    result = change_policy(opened, file, operator=acting, dry_run=on.dry_run)
    enforced = to_data(result.enforced)
    run.warn_enforced(enforced)
    return _policy(result.document, enforced=enforced, dry_run=on.dry_run)


def _policy(document: "PolicyDocument", **more: Any) -> Answer:
    text = document.data.decode()
    data = {
        "digest": document.digest,
        "policy": to_data(document.policy),
        "keys": document.fingerprints,
        "text": text,
        **more,
    }

    def render(page: Any) -> None:
        facts = {key: value for key, value in more.items() if key != "enforced"}
        page.facts({"digest": document.digest, "keys": sorted(data["keys"]), **facts})
        page.line()
        for line in text.splitlines():
            page.line(line)

    return Answer(data, render)
