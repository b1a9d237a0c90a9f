"""A crash at any instant leaves the old state or the new one."""

import pytest

pytest.register_assert_rewrite("tests.crash.verdict", "tests.crash.depot_scenes")
