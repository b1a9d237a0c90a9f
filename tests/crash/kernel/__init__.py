"""Whole commands, spoilt system call by system call: what happened is the kernel's own account of it.

A command runs in a process of its own, with all its threads and libraries. Every system call that changes something
below its folder is counted first, and then spoilt in a run of its own. Most faults are injected by strace; what it
cannot do (kill *after* a call, write *less*, tell threads apart) is done by :mod:`tests.crash.kernel.tracer`.
"""

import pytest

pytest.register_assert_rewrite("tests.crash.kernel.spoil")
