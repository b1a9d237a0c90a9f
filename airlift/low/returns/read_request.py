"""Read a request: what an enrolled enclave asks for, signed or typed; nothing of it is kept (SPEC 6.8-7, L6.1)."""

from airlift.bundle.returns.code import RequestCode
from airlift.bundle.returns.request import Request
from airlift.errors import UsageError
from airlift.low.depot.depot import Depot
from airlift.low.returns.recognise import SignedReturn, recognise


def read_request(depot: Depot, data: bytes) -> tuple[str, Request | RequestCode]:
    """Return the name of the enclave that asks, and what it asks for: a signed file (bytes), or a typed code (ASCII).

    Raises:
        UsageError: it is a receipt.
        SignatureError, LedgerError, MalformedError: forged, mistyped, or of no enclave that is enrolled.
        FormatTooNewError: made by a newer airlift.
    """
    found = recognise(depot, data)
    stated = found.stated if isinstance(found, SignedReturn) else found.said
    if not isinstance(stated, Request | RequestCode):
        raise UsageError(
            "this is a receipt, and asks for nothing",
            expected="a request, as `airlift high request` makes them",
            hint="take it in: `airlift low returns import`",
        )
    return found.record.enclave, stated
