"""The compiled digests under AddressSanitizer and UndefinedBehaviorSanitizer, fed with messages good and bad."""

import re
import sys
from pathlib import Path

from airlift.digests import kernel
from tests.fuzz.conftest import Recorder
from tests.fuzz.test_kernel import fed
from tests.support.compiled import needing
from tests.support.kernel_sources import DIGEST_SOURCES


@needing(kernel.names())
def test_no_message_makes_the_digests_touch_what_they_should_not(tmp_path: Path, count: Recorder) -> None:
    """Threat: content that is digested as what it is not."""
    seed, said = fed(tmp_path, DIGEST_SOURCES, "digests_driver")
    count("kernel of digests, with sanitizers", said, r"(\d+) made, (\d+) refused")
    counted = re.fullmatch(r"(\d+) made, (\d+) refused, (\d+) answered\n", said)
    assert counted is not None
    assert int(counted[2]) > 20
    assert int(counted[3]) > 20
    sys.stdout.write(f"seed {seed}: {said}")
