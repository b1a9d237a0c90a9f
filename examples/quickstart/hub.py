"""A hub on this machine, for the quick start: serves folders as repositories of a Hugging Face endpoint, on loopback.

    python examples/quickstart/hub.py org/name=FOLDER --environment FILE

Writes to FILE what a shell needs to ask it (``HF_ENDPOINT``, and ``COMMIT``, the newest of the last repository), then
serves until it is ended. It is the server that the tests use; what has a token or a fault there, has none here.
"""

import argparse
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY))

from tests.support.hub_server import serving  # noqa: E402 - found by the line above


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("repositories", metavar="org/name=FOLDER", nargs="+")
    parser.add_argument("--environment", type=Path, required=True, help="a file for the shell to read")
    asked = parser.parse_args()
    with serving() as server:
        commit = ""
        for word in asked.repositories:
            name, _, folder = word.partition("=")
            if not name or not folder or not Path(folder).is_dir():
                sys.exit(f"expected org/name=FOLDER with a folder that is there, found {word}")
            commit = server.repo(name).commit(Path(folder))
        lines = f"export HF_ENDPOINT={server.address} COMMIT={commit}\n"
        unnamed = asked.environment.with_name(f"{asked.environment.name}.new")
        unnamed.write_text(lines)
        unnamed.rename(asked.environment)  # whoever waits for it never reads half of it
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
