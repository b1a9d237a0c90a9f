"""Files that people asked for: they are new, or nothing is written."""

from pathlib import Path

from airlift.errors import ExistsError


def check_new(output: Path) -> None:
    """Check that nothing is at ``output``, before any work is done for it.

    Raises:
        ExistsError: something is.
    """
    if output.exists() or output.is_symlink():
        raise ExistsError(f"{output} exists", hint="choose another file; nothing is overwritten")
