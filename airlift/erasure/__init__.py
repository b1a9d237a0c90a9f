"""A stripe's parity from its data, and lost members back from any that are enough. Pure: bytes in, bytes out.

A stripe has ``data`` members, numbered from 0 on, and ``parity`` members, numbered after them. Any ``data`` of them
give back all others::

    parity = erasure.encode([first, second, third], 2)
    found = erasure.reconstruct({0: first, 3: parity[0], 4: parity[1]}, 3, 2, [1, 2], len(parity[0]))
    assert found[1].startswith(second)

The code is systematic Reed-Solomon over GF(2^8) with a Cauchy matrix whose first row is all ones: the first parity
member is the XOR of the data (SPEC 6.9). A member that is shorter than the longest counts as filled up with zeros.
Every place of the bytes is coded by itself, so a long stripe may be coded piece by piece; pieces of a MiB or so stay
in the cache.

Nothing here is trusted with finding damage: what is lost or damaged is known before, by signed digests, and what is
reconstructed must have its own. Given wrong members, wrong bytes come out.

It runs in a compiled kernel or, where there was no compiler, in NumPy: the same bytes, slower.
"""

from airlift.erasure.stripe import MAX_MEMBERS, MAX_PARITY, Buffer, encode, reconstruct

__all__ = ["MAX_MEMBERS", "MAX_PARITY", "Buffer", "encode", "reconstruct"]
