"""``python -m tests.second ENCLAVE OUTPUT VOLUME...``: import, and print the answer as one line of JSON.

The policy is taken to be the default one, unless ``--policy`` names a file that holds it as JSON.
"""

import argparse
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.second import enclave, importer, policy
from tests.second.errors import Refused


def main() -> int:
    """Import volumes as the command line says, and return the exit code."""
    parser = argparse.ArgumentParser(description="the second importer")
    parser.add_argument("enclave", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("volumes", type=Path, nargs="+")
    parser.add_argument("--policy", type=Path, help="the policy in force, as JSON")
    given = parser.parse_args()
    rules = policy.make(json.loads(given.policy.read_bytes()) if given.policy else {})
    try:
        done = importer.run(
            enclave.read(given.enclave), rules, given.volumes, given.output, datetime.now(UTC)
        )
    except Refused as refused:
        print(json.dumps({"ok": False, "code": refused.code, "exit": refused.exit, "why": str(refused)}))  # noqa: T201
        return refused.exit
    print(json.dumps({"ok": True, **asdict(done)}))  # noqa: T201 -- its answer
    return 0


sys.exit(main())
