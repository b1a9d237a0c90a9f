"""Tests of compiled kernels, which a machine without a compiler does not have."""

import os
from collections.abc import Sequence

import pytest


def needing(names: Sequence[str]) -> pytest.MarkDecorator:
    """Skip a test where NumPy is all there is; with AIRLIFT_REQUIRE_TOOLS=1 it runs, and fails."""
    required = os.environ.get("AIRLIFT_REQUIRE_TOOLS") == "1"
    alone = list(names) == ["numpy"]
    return pytest.mark.skipif(alone and not required, reason="there is no compiled kernel here")
