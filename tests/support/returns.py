"""What enclaves of the tests send back: signed, typed, and as an attacker would make it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from airlift.bundle.fields import Marking, format_time
from airlift.bundle.manifest import ReleaseRef
from airlift.bundle.returns import code, receipt, request
from airlift.bundle.returns.code import ReceiptCode, RequestCode
from airlift.bundle.returns.receipt import Receipt
from airlift.bundle.returns.request import Request
from airlift.high.enclave.enclave import Enclave, Operator, open_enclave
from airlift.high.record.receipt import issue_receipt, print_receipt
from airlift.high.record.request import find_lack, issue_request, print_request
from airlift.ledger import checkpoint
from airlift.ledger.checkpoint import Checkpoint
from airlift.low.returns.register import register
from airlift.trust.statements import dsse
from tests.support import keys
from tests.support.depots import NOW, Site
from tests.support.enclaves import operator, world

LEDGER = "ledger"


def enrol(site: Site, name: str = "alpha", key: str = LEDGER) -> None:
    """Enrol an enclave in the depot of a site."""
    keys.write(site.keys, key)
    register(site.depot, name, ledger_key=site.keys / f"{key}.pub", now=NOW)


def at(name: str) -> Enclave:
    """Return the session's enclave ``name`` (fresh, one, two), to be looked at and not to be changed."""
    return open_enclave(world().folder / "enclaves" / name)


def receipt_of(place: Enclave, who: Operator | None = None) -> bytes:
    """Return the signed receipt of an enclave."""
    return (issue_receipt(place, operator=who or operator()).receipt or "").encode()


def receipt_for(name: str, held: ReleaseRef) -> bytes:
    """Return a signed receipt of an enclave that nobody made: it holds one release, and has imported nothing."""
    note = with_ledger(7, b"\x07" * 48, name=name)
    stated = Receipt(
        name,
        format_time(NOW),
        held,
        None,
        (held,),
        0,
        "",
        Marking("UNCLASSIFIED"),
        note["checkpoint"],
        7,
        note["root"],
    )
    return sign(receipt.PAYLOAD_TYPE, receipt.format(stated))


def receipt_code(place: Enclave) -> bytes:
    """Return the typed receipt of an enclave."""
    return "\n".join(print_receipt(place, now=NOW).code or ()).encode()


def request_of(place: Enclave, *volumes: Path) -> bytes:
    """Return the signed request of an enclave for what these volumes lack."""
    lack = find_lack(place, None, volumes, NOW)
    return (issue_request(place, lack, operator=operator()).request or "").encode()


def request_code(place: Enclave, *volumes: Path) -> bytes:
    """Return the typed request of an enclave for what these volumes lack."""
    lack = find_lack(place, None, volumes, NOW)
    return "\n".join(print_request(place, lack, now=NOW).code or ()).encode()


def stated_by(data: bytes) -> Receipt:
    """Return what a receipt states."""
    return receipt.parse(dsse.parse(data, limit=8 << 20).payload)


def asked_by(data: bytes) -> Request:
    """Return what a request states."""
    return request.parse(dsse.parse(data).payload)


def sign(kind: str, payload: bytes, key: str = LEDGER) -> bytes:
    """Return a payload signed by a key."""
    return dsse.format(dsse.sign(kind, payload, keys.signer(key)))


def forged(data: bytes, *, key: str = LEDGER, **changes: Any) -> bytes:
    """Return a receipt that states something else, signed anew."""
    return sign(receipt.PAYLOAD_TYPE, receipt.format(replace(stated_by(data), **changes)), key)


def forged_request(data: bytes, *, key: str = LEDGER, **changes: Any) -> bytes:
    """Return a request that asks for something else, signed anew."""
    return sign(request.PAYLOAD_TYPE, request.format(replace(asked_by(data), **changes)), key)


def with_ledger(size: int, root: bytes, *, name: str = "alpha", key: str = LEDGER) -> dict[str, Any]:
    """Return the members of a receipt about a ledger of this size and root."""
    note = checkpoint.sign(Checkpoint(f"airlift/{name}", size, root), keys.signer(key)).decode()
    return {"checkpoint": note, "size": size, "root": root.hex()}


def typed(data: bytes, **changes: Any) -> bytes:
    """Return a typed code that says something else."""
    said: ReceiptCode | RequestCode = code.parse(data.decode())
    return "\n".join(code.format(replace(said, **changes))).encode()
