"""Weights that no library would load: on the high side it would be too late to say so (SPEC L2.8)."""

from pathlib import Path

from airlift.errors import ForbiddenFileError, FormatTooNewError, MalformedError
from airlift.tensors.formats.tiling import reader


def check_header(relative: str, path: Path) -> None:
    """Refuse a file whose name promises a format that it does not have; ``path`` is where it lies.

    Raises:
        ForbiddenFileError: its header is damaged.
        UncheckedError: it cannot be read.
    """
    read = reader(relative)
    try:
        if read is not None:
            read(path)
    except FormatTooNewError:
        return  # carried as opaque bytes: another version is no damage
    except MalformedError as error:
        raise ForbiddenFileError(
            f"{relative} is not a valid {relative.rpartition('.')[2].lower()} file: {error.message}",
            expected=error.expected,
            found=error.found,
            hint="save or download it again",
        ) from error
