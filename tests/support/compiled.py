"""Tests of compiled kernels, which a machine without a compiler does not have."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any

import pytest


def needing(names: Sequence[str]) -> pytest.MarkDecorator:
    """Skip a test where NumPy or OpenSSL is all there is; with AIRLIFT_REQUIRE_TOOLS=1 it runs, and fails."""
    required = os.environ.get("AIRLIFT_REQUIRE_TOOLS") == "1"
    alone = list(names) in (["numpy"], ["openssl"])
    return pytest.mark.skipif(alone and not required, reason="there is no compiled kernel here")


def counted_meanwhile(function: Callable[..., Any], *given: Any) -> int:
    """Return how far this thread counts while another one makes a call; hardly, if that holds the interpreter."""
    thread = Thread(target=function, args=given)
    turns, count = sys.getswitchinterval(), 0
    sys.setswitchinterval(100)
    try:
        thread.start()
        while thread.is_alive():
            count += 1
            time.sleep(0)
    finally:
        sys.setswitchinterval(turns)
        thread.join()
    return count
