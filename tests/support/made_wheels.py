"""Small wheels and charts for tests, made with the standard library after PEP 427 and Helm's chart format."""

import base64
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence


def record_line(path: str, data: bytes, algorithm: str = "sha256") -> str:
    """Return what RECORD says of a file."""
    digest = base64.urlsafe_b64encode(hashlib.new(algorithm, data).digest()).rstrip(b"=").decode()
    return f"{path},{algorithm}={digest},{len(data)}\n"


def wheel_files(
    name: str = "demo", version: str = "1.0", source: bytes = b"ANSWER = 42\n"
) -> dict[str, bytes]:
    """Return the members of a wheel, without its RECORD."""
    info = f"{name}-{version}.dist-info"
    return {
        f"{name}/__init__.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }


def with_record(files: Mapping[str, bytes], name: str = "demo", version: str = "1.0") -> dict[str, bytes]:
    """Return the members of a wheel with the RECORD that is right for them."""
    own = f"{name}-{version}.dist-info/RECORD"
    lines = [record_line(path, data) for path, data in files.items()]
    return {**files, own: "".join([*lines, f"{own},,\n"]).encode()}


def pack_zip(files: Mapping[str, bytes]) -> bytes:
    """Return a zip archive of files, without times."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def wheel(name: str = "demo", version: str = "1.0", source: bytes = b"ANSWER = 42\n") -> bytes:
    """Return a whole wheel."""
    return pack_zip(with_record(wheel_files(name, version, source), name, version))


def chart_files(name: str = "engine", version: str = "0.1.0") -> dict[str, bytes]:
    """Return the files of a small chart."""
    return {
        "Chart.yaml": f"apiVersion: v2\nname: {name}\ndescription: an engine\ntype: application\nversion: {version}\n"
        "appVersion: '1'\n".encode(),
        "values.yaml": b"image: engine\nreplicas: 2\n",
        "templates/deployment.yaml": b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n"
        b"data:\n  replicas: '{{ .Values.replicas }}'\n",
    }


def pack_tar(members: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """Return these members as tar in gzip."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)


def chart(name: str = "engine", version: str = "0.1.0") -> bytes:
    """Return the archive of a chart."""
    return pack_tar(
        [(tarfile.TarInfo(f"{name}/{path}"), data) for path, data in chart_files(name, version).items()]
    )


def provenance(archive: str, data: bytes) -> bytes:
    """Return what Helm writes beside an archive, without a signature that anybody could verify."""
    stated = hashlib.sha256(data).hexdigest()
    return (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n"
        "apiVersion: v2\nname: engine\nversion: 0.1.0\n\n...\nfiles:\n"
        f"  {archive}: sha256:{stated}\n-----BEGIN PGP SIGNATURE-----\n\nwsBc\n-----END PGP SIGNATURE-----\n"
    ).encode()
