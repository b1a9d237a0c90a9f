"""A file that somebody asked for: it is new, or nothing is written."""

from pathlib import Path

from airlift import files
from airlift.errors import ExistsError


def check_new(output: Path) -> None:
    """Check that nothing is at ``output``, before any work is done for it.

    Raises:
        ExistsError: something is.
    """
    if output.exists() or output.is_symlink():
        raise ExistsError(f"{output} exists", hint="choose another file; nothing is overwritten")


def write_new(output: Path, data: bytes) -> None:
    """Write what everybody may read to a new file, durably.

    Raises:
        StorageError: something is at ``output``, or it cannot be written.
    """
    files.write_durable(output, data, mode=0o644, replace=False)
