"""``airlift keys``: make key pairs, and show what people compare."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airlift.cli.frame import app, options, passphrase
from airlift.cli.frame.command import Answer, command
from airlift.cli.frame.output import Page, grouped
from airlift.cli.frame.passphrase import Passphrases
from airlift.cli.frame.session import Run
from airlift.errors import AirliftError, ExistsError

if TYPE_CHECKING:
    from airlift.trust.keys.public import PublicKey


class Scheme(StrEnum):
    """Signature schemes of :data:`airlift.trust.keys.public.SCHEMES`."""

    ml_dsa_87 = "ml-dsa-87"
    ecdsa_p384 = "ecdsa-p384"


@command(
    app.keys,
    "generate",
    "airlift keys generate release-alice --out /media/alice",
    "airlift keys generate bundler --out keys --no-passphrase",
)
def generate(
    run: Run,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The holder, for example release-alice.")],
    *,
    scheme: Annotated[
        Scheme, typer.Option(help="ecdsa-p384 is for tokens that lack ML-DSA.")
    ] = Scheme.ml_dsa_87,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the two files go.")] = Path(),
    passphrases: Passphrases,
    no_passphrase: Annotated[
        bool,
        typer.Option("--no-passphrase", help="Leave the private key unencrypted, for unattended machines."),
    ] = False,
    dry_run: options.DryRun = False,
) -> Answer:
    """Make a key pair: NAME.key (private, mode 0600, encrypted) and NAME.pub.

    Nothing is ever overwritten. Only the .pub file is meant to leave the machine.
    """
    from airlift.trust.keys.file import generate as make_keys
    from airlift.trust.keys.file import write_key_pair

    _refuse_existing(out, name)
    secret = passphrase.new(run, passphrases, none=no_passphrase)
    signer = make_keys(scheme.value)
    private, public = out / f"{name}.key", out / f"{name}.pub"
    if not dry_run:
        private, public = write_key_pair(signer, out, name, secret)
    data = {
        "private": str(private),
        **_facts(str(public), signer.public),
        "encrypted": secret is not None,
        "dry_run": dry_run,
    }
    return Answer(data, lambda page: _render(page, [data]))


@command(app.keys, "show", "airlift keys show keys/root-alice.pub keys/root-bob.pub")
def show(
    run: Run,
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Public or private keys.")],
    *,
    passphrases: Passphrases,
) -> Answer:
    """Show scheme, key id and fingerprint.

    The fingerprint (SHA-384) is what two people read to each other over another channel than the file's own.
    """
    from airlift.trust.keys.load import load_signer
    from airlift.trust.keys.public import load_public

    ask = passphrases.source(run)
    found = [
        _facts(file, load_signer(file, ask).public if _is_private(file) else load_public(Path(file)))
        for file in files
    ]
    return Answer({"keys": found}, lambda page: _render(page, found))


def _refuse_existing(folder: Path, name: str) -> None:
    """Look before a passphrase is asked; writing looks again."""
    for path in (folder / f"{name}.key", folder / f"{name}.pub"):
        if path.is_symlink() or path.exists():
            raise ExistsError(f"{path} exists", hint="choose another name; a key is never overwritten")


def _is_private(file: str) -> bool:
    from airlift.files import read_bounded
    from airlift.trust.keys.public import MAX_KEY_FILE_BYTES

    if file.startswith("pkcs11:"):
        return True
    try:
        return b"PRIVATE KEY-----" in read_bounded(os.path.realpath(file), MAX_KEY_FILE_BYTES)
    except AirliftError:
        return False  # loading it as a public key says what is wrong


def _facts(file: str, key: "PublicKey") -> dict[str, Any]:
    return {"file": file, "scheme": key.scheme, "key_id": key.key_id, "fingerprint": key.fingerprint}


def _render(page: Page, found: list[dict[str, Any]]) -> None:
    for number, item in enumerate(found):
        if number:
            page.line()
        page.facts({**item, "fingerprint": grouped(item["fingerprint"])})
