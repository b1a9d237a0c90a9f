"""What each member of a stripe is made of (SPEC 6.9-3, 6.9-4): weights in GF(2^8), by which others are summed."""

from collections.abc import Sequence

import numpy as np

from airlift.erasure import field
from airlift.erasure.field import Array


def coefficients(data: int, parity: int) -> Array:
    """Return ``weights[i, j]``: parity member i is the sum of its weights times all data members j.

    A Cauchy matrix, 1 / (x_i + y_j) with x_i = i and y_j = parity + j, each column scaled so that the first row is
    all ones: every square part of it can be inverted (Blömer et al., "An XOR-Based Erasure-Resilient Coding Scheme",
    ICSI TR-95-048).
    """
    rows, columns = np.arange(parity)[:, None], np.arange(parity, parity + data)
    weights: Array = field.products()[columns[None, :], field.inverses()[rows ^ columns]]
    return weights


def weights(data: int, parity: int, used: Sequence[int], wanted: Sequence[int]) -> Array:
    """Return ``weights[w, u]``: member ``wanted[w]`` is the sum of its weights times all members ``used[u]``.

    ``used`` are ``data`` members of the stripe, in ascending order.
    """
    code = coefficients(data, parity)
    known = [member for member in used if member < data]
    checks = [member - data for member in used if member >= data]
    lost = sorted(set(range(data)) - set(known))
    solved = np.zeros((data, data), np.uint8)  # each data member by what is used
    solved[known, range(len(known))] = 1
    if lost:
        unknown = field.inverse(code[np.ix_(checks, lost)])
        solved[lost, : len(known)] = field.times(unknown, code[np.ix_(checks, known)])
        solved[lost, len(known) :] = unknown
    every = np.vstack([np.eye(data, dtype=np.uint8), code])
    return field.times(every[list(wanted)], solved)
