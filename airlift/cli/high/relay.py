"""``airlift high relay``: original volumes for enclaves behind this one, which do not trust it for them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from airlift.cli.frame import app, options
from airlift.cli.frame.command import Answer, command
from airlift.cli.frame.output import Page, size, to_data
from airlift.cli.frame.places import OnEnclave
from airlift.cli.frame.session import Run
from airlift.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaying:
    """What is done with bundles that are not for this enclave."""

    to: Annotated[str | None, typer.Option(metavar="NAME", help="A sub-enclave that policy names.")] = None
    output: Annotated[Path | None, typer.Option(metavar="DIR", help="Receives one folder per volume.")] = None
    receipt: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The sub-enclave's receipt: only what it lacks is handed on."),
    ] = None
    store: Annotated[bool, typer.Option("--store", help="Keep the volumes here, to hand them on later.")] = (
        False
    )
    drop: Annotated[
        str | None, typer.Option(metavar="BUNDLE", help="Remove what is kept of a bundle: its id, or digest.")
    ] = None
    yes: options.Yes = False


@command(
    app.high,
    "relay",
    "airlift high relay /media/disc1 /media/disc2 --to bravo --output /media/usb",
    "airlift high relay /media/disc1 /media/disc2 --store",
    "airlift high relay --to bravo --receipt bravo.json --output /media/usb",
    "airlift high relay --drop bravo-7 --yes",
)
def relay(
    run: Run,
    volumes: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="VOLUME", help="Folders of one bundle; without any, what was kept with --store."
        ),
    ] = None,
    *,
    how: Relaying,
    on: OnEnclave,
) -> Answer:
    """Hand on original signed volumes to a sub-enclave, byte for byte: verified, within its ceiling, and recorded.

    The sub-enclave trusts the low side's root alone. Bundles for it, or for anybody, are handed on, all or those that
    its receipt says it lacks.
    """
    given = tuple(volumes or ())
    _check(how, given)
    if how.drop is not None:
        return _drop(run, how.drop, yes=how.yes, on=on)
    if how.store:
        return _store(run, given, on)
    return _hand_on(run, given, how, on)


def _check(how: Relaying, given: tuple[Path, ...]) -> None:
    """Check that the options say one thing: hand on, keep, or drop."""
    handing = (how.to, how.output, how.receipt) != (None, None, None)
    if sum((handing, how.store, how.drop is not None)) != 1:
        raise UsageError(
            "nothing says what is to be done with the volumes" if not given else "say one thing at a time",
            expected="one of: --to NAME --output DIR, --store, --drop BUNDLE",
            hint="hand on: `airlift high relay VOLUME... --to NAME --output DIR`; keep for later: "
            "`airlift high relay VOLUME... --store`; what is kept: `airlift high status`",
        )
    if handing and (how.to is None or how.output is None):
        raise UsageError(
            "--to NAME and --output DIR go together; --receipt belongs to them",
            hint="hand on: `airlift high relay VOLUME... --to NAME --output DIR`",
        )
    if how.store != bool(given) and not handing:
        raise UsageError(
            "--store takes volumes, --drop the name of a bundle alone",
            hint="keep: `airlift high relay VOLUME... --store`; remove: `airlift high relay --drop BUNDLE`",
        )


def _store(run: Run, given: tuple[Path, ...], on: OnEnclave) -> Answer:
    from airlift.high.relaying.store import store

    opened, acting = on.enter(run)
    result = store(opened, given, operator=acting, progress=run.progress, dry_run=on.dry_run)
    run.warn_passed_over(result.passed_over)
    if result.already:
        run.say("this bundle is kept already")
    return _kept({**to_data(result), "dry_run": on.dry_run})


def _drop(run: Run, bundle: str, *, yes: bool, on: OnEnclave) -> Answer:
    from airlift.high.relaying.store import drop

    opened, acting = on.enter(run)
    result = drop(opened, bundle, operator=acting, dry_run=True)
    if not on.dry_run:
        run.confirm(f"drop {result.volumes} volumes of {result.bundle}, {size(result.bytes)}?", yes=yes)
        result = drop(opened, result.manifest, operator=acting)
    return _kept({**to_data(result), "dry_run": on.dry_run})


def _kept(data: dict[str, Any]) -> Answer:
    shown = {key: value for key, value in data.items() if key not in {"passed_over", "already", "recovered"}}
    return Answer(data, lambda page: page.facts({**shown, "bytes": size(data["bytes"])}))


def _hand_on(run: Run, given: tuple[Path, ...], how: Relaying, on: OnEnclave) -> Answer:
    from airlift.high.relaying.relay import RelayRequest, relay

    opened, acting = on.enter(run)
    request = RelayRequest(how.to or "", how.output or Path(), given, how.receipt)
    result = relay(opened, request, operator=acting, progress=run.progress, dry_run=on.dry_run)
    run.warn_passed_over(result.passed_over)
    if result.receipt is None:
        run.say(f"without a receipt of {result.to}, everything for it is handed on")
    for item in result.refused:
        run.warn(f"{item['bundle']} is not handed on: {item['message']} ({item['code']})")
    if not result.handed:
        run.say("nothing is to be handed on")
    data = {**to_data(result), "dry_run": on.dry_run}

    def render(page: Page) -> None:
        page.facts({key: data[key] for key in ("to", "output", "receipt", "held", "dry_run")})
        for item in data["handed"]:
            page.line()
            page.line(f"{item['bundle']}: {item['target'] or 'fresh metadata and revocations'}", style="bold")
            for one in item["volumes"]:
                page.line(f"  {one['path']}  {size(one['bytes'])}")

    return Answer(data, render)
