"""What is installed, by name alone: for shells that complete a word, so nothing more is loaded than that takes."""

from pathlib import Path

from airlift import files, strict

MAX_BYTES = 64 << 20


def releases(enclave: Path) -> list[str]:
    """Return the installed releases as ``name@version``, in order of their names; nothing if there is no enclave.

    Raises:
        AirliftError: one is there whose manifest cannot be read.
    """
    manifests = [enclave / "history" / f"{folder.name}.json" for folder in enclave.glob("releases/*")]
    return sorted(_name(path) for path in manifests if path.is_file())


def _name(path: Path) -> str:
    document = strict.parse(files.read_bounded(path, MAX_BYTES), limit=MAX_BYTES, what=path.name)
    return f"{strict.member(document, 'name', str)}@{strict.member(document, 'version', str)}"
