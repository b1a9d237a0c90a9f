"""Write the man pages: ``python -m airlift.cli.manual FOLDER``, or ``make man``.

The same commands give the same bytes: the pages bear the date of SOURCE_DATE_EPOCH (seconds since 1970), or that of
the release.
"""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from airlift import __version__, files
from airlift.cli.manual import man, tree
from airlift.errors import AirliftError, UncheckedError

RELEASED = datetime(2026, 11, 30, tzinfo=UTC)
"""The date of this version, which changes together with it."""


def main() -> None:
    """Write one page for each command into a folder."""
    parser = argparse.ArgumentParser(prog="python -m airlift.cli.manual", description="Write the man pages.")
    parser.add_argument("folder", type=Path, help="where the pages go, such as ~/.local/share/man/man1")
    folder = parser.parse_args().folder
    stated = os.environ.get("SOURCE_DATE_EPOCH", "")
    if stated and not (stated.isascii() and stated.isdigit() and len(stated) <= 11):
        parser.error(f"SOURCE_DATE_EPOCH is not seconds since 1970: {stated!a}")
    at = datetime.fromtimestamp(int(stated), UTC) if stated else RELEASED
    try:
        write(folder, at)
    except (AirliftError, OSError) as error:
        sys.stderr.write(
            f"error: the pages could not be written\n  found: {error}\nhint: name another folder\n"
        )
        sys.exit(error.exit_code if isinstance(error, AirliftError) else UncheckedError.exit_code)


def write(folder: Path, at: datetime) -> None:
    """Write one page for each command, with the date that they bear.

    Raises:
        AirliftError, OSError: the folder cannot be written.
    """
    files.make_folder(folder, 0o755)
    for command in (*tree.read().all(), tree.read_verifier()):
        text = man.page(command, __version__, at).encode("ascii")
        files.write_durable(folder / f"{man.name(command.path)}.{man.SECTION}", text, mode=0o644)


if __name__ == "__main__":
    main()
