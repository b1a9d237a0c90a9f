"""Foresee what watching a drop folder would do, as it lies there now; nothing changes (SPEC 7.13-11)."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from airlift.errors import AirliftError, StalledError
from airlift.high.importing.preview import plan_import
from airlift.high.watching.attempt import Importer
from airlift.high.watching.look import look
from airlift.high.watching.put_aside import Places
from airlift.high.watching.sights import Claim, Fault, Known
from airlift.high.watching.survey import survey

READY = "ready"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would become of the volumes of a bundle, or of one that the reader refuses: ``code``, or ``ready``."""

    bundle: str | None
    volumes: tuple[str, ...]
    code: str
    exit: int
    message: str | None
    missing: int = 0


def foresee(how: Importer, places: Places, now: datetime) -> tuple[Foreseen, ...]:
    """Return what would become of what lies in the drop folder.

    Raises:
        UncheckedError: it cannot be read.
        StalledError: it does not answer.
    """
    groups: defaultdict[tuple[int, str], list[tuple[str, Claim]]] = defaultdict(list)
    found: list[Foreseen] = []
    for sight in look(places.drop, places.inside).volumes:
        known = survey(places.drop, Known(sight, 0.0), 0.0)
        if known.claim is not None:
            groups[known.claim.sequence, known.claim.key].append((sight.name, known.claim))
        elif known.fault is not None:
            found.append(_refused(None, (sight.name,), known.fault))
    for _, volumes in sorted(groups.items(), key=lambda item: item[0]):
        found.append(_plan(how, places.drop, volumes, now))
    return tuple(found)


def _plan(how: Importer, drop: Path, volumes: list[tuple[str, Claim]], now: datetime) -> Foreseen:
    names, bundle = tuple(name for name, _ in volumes), volumes[0][1].bundle
    try:
        planned = plan_import(how.enclave, [drop / name for name in names], now, activate=how.activate)
    except StalledError:
        raise
    except AirliftError as error:
        return _refused(bundle, names, Fault.of(error))
    if planned.missing:
        return Foreseen(bundle, names, "volumes-missing", 4, "chunks are missing", len(planned.missing))
    for item in planned.objections:
        return Foreseen(bundle, names, item["code"], 6, item["message"])
    return Foreseen(bundle, names, READY, 0, "it was imported before" if planned.already else None)


def _refused(bundle: str | None, names: tuple[str, ...], fault: Fault) -> Foreseen:
    return Foreseen(bundle, names, fault.code, fault.exit, fault.message)
