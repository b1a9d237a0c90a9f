"""Helm charts: a folder, or archives beside each other with their provenance files (Helm's chart format; SPEC L2.17).

An archive is listed within Helm's bounds; a member that would land outside of the chart, or is a link, is refused.
"""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from airlift.errors import ForbiddenFileError, MalformedError
from airlift.intake.gate.forms import chart_archive, chart_yaml
from airlift.intake.gate.forms.reading import Whole, refusing
from airlift.intake.gate.views import View

SUFFIX, PROVENANCE, DESCRIPTION = ".tgz", ".tgz.prov", "Chart.yaml"
MAX_PROVENANCE = 1 << 20
_SIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----"
_STATED = re.compile(rb"^[ \t]+([^\s:]+):[ \t]*sha256:([0-9a-f]{64})[ \t]*\r?$", re.MULTILINE)
_AGAIN = "make it again: helm package FOLDER, or helm pull REFERENCE --version VERSION"


def check_paths(paths: Iterable[str]) -> None:
    """Refuse a set of files that is neither the folder of a chart nor archives of charts.

    Raises:
        ForbiddenFileError: it is neither.
    """
    found = set(paths)
    if DESCRIPTION in found:
        return
    other = sorted(path for path in found if "/" in path or not path.endswith((SUFFIX, PROVENANCE)))
    if other:
        raise ForbiddenFileError(
            "it is no chart",
            expected=f"{DESCRIPTION} at the top, or NAME-VERSION{SUFFIX}",
            found=other[0],
            hint=f"{_AGAIN}; or leave it out: `exclude: [...]` in the source of the component",
        )
    alone = sorted(
        path for path in found if path.endswith(PROVENANCE) and path.removesuffix(".prov") not in found
    )
    if alone:
        raise ForbiddenFileError(
            f"{alone[0]} stands without its chart", expected=alone[0].removesuffix(".prov"), hint=_AGAIN
        )


def check_archive(relative: str, view: View) -> None:
    """Refuse an archive that is not the chart which its name promises, or that would write outside of its folder.

    Raises:
        ForbiddenFileError: it is.
        UncheckedError: it cannot be read.
    """
    with refusing(_AGAIN):
        data = chart_archive.description(relative, view, DESCRIPTION)
        name, version = chart_yaml.identity(data, f"{relative}: {DESCRIPTION}")
        called = PurePosixPath(relative).name
        if called != f"{name}-{version}{SUFFIX}":
            raise MalformedError(
                f"{relative} is another chart than its name says",
                expected=f"{name}-{version}{SUFFIX}",
                found=called,
            )


def check_whole(whole: Whole) -> None:
    """Check the description of a folder, and that provenance files are those of the archives beside them.

    Raises:
        ForbiddenFileError: one is not.
        UncheckedError: a file cannot be read.
    """
    with refusing(_AGAIN):
        if DESCRIPTION in whole.files:
            chart_yaml.identity(whole.document(DESCRIPTION, chart_yaml.MAX_BYTES), DESCRIPTION)
        for path in sorted(whole.files):
            if path.endswith(PROVENANCE) and path.removesuffix(".prov") in whole.files:
                _check_provenance(whole, path)


def _check_provenance(whole: Whole, path: str) -> None:
    """Check which digest is stated of an archive; whose signature it is, ``helm verify`` says."""
    data = whole.document(path, MAX_PROVENANCE)
    if not data.startswith(_SIGNED):
        raise MalformedError(f"{path} is no provenance file", expected=_SIGNED.decode())
    archive = path.removesuffix(".prov")
    stated = {
        digest.decode()
        for name, digest in _STATED.findall(data)
        if name.decode() == PurePosixPath(archive).name
    }
    if stated != {whole.files[archive].sha256}:
        raise MalformedError(
            f"{path} is not of the {SUFFIX} beside it",
            expected=f"sha256:{whole.files[archive].sha256}",
            found=", ".join(sorted(stated)) or "no digest of it",
        )
