"""What stands in the place of a file that was not fetched, or not to its end (SPEC L2.7).

None of this can be waived: the file that is meant is not there. The hint is the command that completes it.
"""

import json
import re
from pathlib import PurePosixPath
from typing import Any

from airlift.bundle.paths import suffix
from airlift.errors import ForbiddenFileError
from airlift.intake.gate.views import View

PARTIAL = frozenset({".aria2", ".crdownload", ".incomplete", ".part", ".partial"})
WEIGHTS = frozenset(
    {
        ".bin", ".ckpt", ".gguf", ".ggml", ".h5", ".hdf5", ".joblib", ".keras", ".mlmodel", ".model", ".msgpack",
        ".nemo", ".npy", ".npz", ".onnx", ".ot", ".pb", ".pdparams", ".pickle", ".pkl", ".pt", ".pth", ".safetensors",
        ".spm", ".tflite",
    }
)  # fmt: skip
_DOCUMENTS = frozenset({".json", ".yaml", ".yml"})
_POINTER_BYTES = 1024
_PAGE_BYTES = 64 << 10
_FETCH = "airlift low fetch REPOSITORY --revision COMMIT"
_LFS = re.compile(rb"version https://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/v1\r?\n")
_XET = re.compile(rb"# xet version \S+\r?\n")
_ANNEX = re.compile(rb"(?:\.\./|\./)*(?:\.git)?/annex/objects/\S+\s*")
_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!--.{0,512}?-->\s*)?<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_ANSWER = re.compile(rb"\s*(?:<\?xml[^>]{0,128}\?>\s*)?<Error>\s*<Code>")
_SENTENCES = (
    b"Entry not found", b"Repository not found", b"Invalid username or password", b"Invalid credentials",
    b"Access to model ", b"Access denied", b"404: Not Found", b"404 page not found", b"Not Found", b"Forbidden",
    b"Unauthorized", b"Too Many Requests", b"Internal Server Error", b"Internal Error", b"Bad Gateway",
    b"Service Unavailable", b"Gateway Time", b"upstream connect error", b"error code: ",
)  # fmt: skip
_ERRORS = frozenset({"error", "errors"})
_AROUND = frozenset(
    {
        "code", "detail", "documentation_url", "message", "path", "request_id", "requestId", "status", "statusCode",
        "success", "timestamp", "type",
    }
)  # fmt: skip


def check_whole(relative: str, view: View, paths: frozenset[str]) -> None:
    """Refuse a file that is not what its name promises because it was not fetched.

    Raises:
        ForbiddenFileError: a pointer of Git LFS, Xet or git-annex, part of a download, an error page, or no bytes at
            all where weights should be.
    """
    ending, size = suffix(relative.lower()), view.size() or 0
    if ending in PARTIAL:
        raise ForbiddenFileError(
            f"{relative} is part of a download that did not end",
            hint=f"fetch it again ({_FETCH}), then remove it",
        )
    if size <= _POINTER_BYTES:
        _check_pointer(relative, view.read(0, _POINTER_BYTES))
    if ending in WEIGHTS and not size and PurePosixPath(relative).with_suffix(".xml").as_posix() not in paths:
        raise ForbiddenFileError(f"{relative} is empty", hint=f"fetch it again: {_FETCH}")
    if ending in WEIGHTS or ending in _DOCUMENTS:
        _check_answer(relative, view.read(0, _PAGE_BYTES), ending, size)


def _check_pointer(relative: str, data: bytes) -> None:
    for form, what, command in (
        (_LFS, "Git LFS", "git lfs pull"),
        (_XET, "Xet", "git xet pull"),
        (_ANNEX, "git-annex", "git annex get ."),
    ):
        if form.match(data):
            raise ForbiddenFileError(
                f"{relative} is a pointer of {what}, not the file itself",
                hint=f"run `{command}` in its folder, or fetch it: {_FETCH}",
            )


def _check_answer(relative: str, data: bytes, ending: str, size: int) -> None:
    """Refuse what a server says in place of a file."""
    short = size <= _PAGE_BYTES
    sentence = ending in WEIGHTS and size < 1024 and data.lstrip().startswith(_SENTENCES)
    if _PAGE.match(data) or _ANSWER.match(data) or sentence or (short and _is_error(data, ending)):
        raise ForbiddenFileError(
            f"{relative} is an error page of a server, not the file itself",
            found=ascii(data[:60].decode("utf-8", "replace")),
            hint=f"fetch it again: {_FETCH}",
        )


def _is_error(data: bytes, ending: str) -> bool:
    """Say whether a short JSON document holds an error and what goes with one, and nothing else."""
    if data.lstrip()[:1] != b"{":
        return False
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError):
        return False
    keys = frozenset(document)
    if ending in WEIGHTS and keys & {"detail", "message"} and keys <= _ERRORS | _AROUND:
        return True
    return bool(keys & _ERRORS) and keys <= _ERRORS | _AROUND
