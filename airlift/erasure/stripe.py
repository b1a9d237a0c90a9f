"""The code over whole stripes: what is asked for is checked here, then summed up by a kernel (SPEC 6.9)."""

from collections.abc import Mapping, Sequence

from airlift.erasure import kernel, matrix
from airlift.errors import IncompleteError, MalformedError

MAX_MEMBERS = 255
"""Members of a stripe, data and parity together."""

MAX_PARITY = 64

Buffer = bytes | bytearray | memoryview


def encode(data: Sequence[Buffer], parity: int) -> list[bytearray]:
    """Return all parity members of a stripe, each as long as the longest of ``data``, in bytes.

    Raises:
        MalformedError: there is no code of so many members.
    """
    _check_shape(len(data), parity)
    members = [_bytes(member) for member in data]
    length = max(map(len, members))
    return kernel.default().combine(matrix.coefficients(len(data), parity), members, length)


def reconstruct(
    present: Mapping[int, Buffer], data: int, parity: int, wanted: Sequence[int], length: int
) -> dict[int, bytearray]:
    """Return the ``wanted`` members of a stripe of ``data`` and ``parity`` members, ``length`` bytes each.

    ``present`` are members that are known to be good, by number: 0 to data - 1 are the data, those after them parity.
    If more than ``data`` are given, data members are used before parity members, and each of these in order.

    Raises:
        IncompleteError: fewer than ``data`` members are present.
        MalformedError: there is no such code or member; a member is longer than ``length``, or all are shorter.
    """
    _check_shape(data, parity)
    _check_members([*present, *wanted], data + parity)
    if len(present) < data:
        raise IncompleteError(
            "too many members of a stripe are missing",
            expected=f"{data} of {data + parity}",
            found=str(len(present)),
        )
    given = {member: _bytes(present[member]) for member in sorted(present)}
    longest = max(map(len, given.values()))
    if longest != length:
        raise MalformedError(
            "members are not as long as their stripe", expected=f"{length} bytes", found=f"{longest} bytes"
        )
    used, asked = list(given)[:data], list(dict.fromkeys(wanted))
    weights = matrix.weights(data, parity, used, asked)
    found = kernel.default().combine(weights, [given[member] for member in used], length)
    return dict(zip(asked, found, strict=True))


def _check_shape(data: int, parity: int) -> None:
    if data < 1 or not 1 <= parity <= MAX_PARITY or data + parity > MAX_MEMBERS:
        raise MalformedError(
            "a stripe has no such number of members",
            expected=f"1 or more data and 1 to {MAX_PARITY} parity, at most {MAX_MEMBERS} together",
            found=f"{data} data and {parity} parity",
        )


def _check_members(members: Sequence[int], count: int) -> None:
    for member in members:
        if not 0 <= member < count:
            raise MalformedError(
                "a stripe has no such member", expected=f"0 to {count - 1}", found=str(member)
            )


def _bytes(member: Buffer) -> memoryview:
    return memoryview(member).cast("B")
