"""The compiled parity code under AddressSanitizer and UndefinedBehaviorSanitizer, fed with stripes good and bad."""

import re
import sys
from pathlib import Path

from tests.fuzz.conftest import Recorder
from tests.fuzz.test_kernel import fed
from tests.support.kernel_sources import PARITY_SOURCES


def test_no_stripe_makes_the_parity_kernel_touch_what_it_should_not(tmp_path: Path, count: Recorder) -> None:
    """Threat: a repair that writes where it should not."""
    seed, said = fed(tmp_path, PARITY_SOURCES, "erasure_driver")
    count("kernel of parity, with sanitizers", said, r"(\d+) made, (\d+) refused")
    counted = re.fullmatch(r"(\d+) made, (\d+) refused, (\d+) answered\n", said)
    assert counted is not None
    assert int(counted[2]) > 20
    assert int(counted[3]) > 20
    sys.stdout.write(f"seed {seed}: {said}")
