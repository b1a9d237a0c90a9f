"""The compiled kernel of predictions under AddressSanitizer and UndefinedBehaviorSanitizer."""

import re
import sys
from pathlib import Path

from tests.fuzz.conftest import Recorder
from tests.fuzz.test_kernel import fed
from tests.support.kernel_sources import PREDICTION_SOURCES


def test_no_factors_make_the_prediction_kernel_touch_what_it_should_not(
    tmp_path: Path, count: Recorder
) -> None:
    """Threat: deltas that read or write outside."""
    seed, said = fed(tmp_path, PREDICTION_SOURCES, "prediction_driver")
    count("kernel of predictions, with sanitizers", said, r"(\d+) made, (\d+) refused")
    counted = re.fullmatch(r"(\d+) made, (\d+) refused, (\d+) answered\n", said)
    assert counted is not None
    assert int(counted[2]) > 20
    assert int(counted[3]) > 20
    sys.stdout.write(f"seed {seed}: {said}")
