"""Run the commands and write the picture of them: ``python -m tests.recorded > docs/session.svg``."""

import sys
import tempfile
from pathlib import Path

from tests.recorded import picture

with tempfile.TemporaryDirectory(prefix="airlift-session-") as scratch:
    sys.stdout.write(picture.draw(Path(scratch)))
