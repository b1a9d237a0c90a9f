"""Make the files of docs/gate.md that no package ships, with the tools that people make them with.

``python -m tests.support.gate_made FOLDER`` needs joblib, scikit-learn, skops, h5py, lz4 and zstandard beside NumPy;
with OpenVINO, CTranslate2 and fastText as well it makes models of these, the first from ``MODEL.onnx`` if given as a
second word.
"""

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import sys
import tarfile
import zipfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

VALUE = {"w": np.arange(5000, dtype="f4"), "l": list(range(100))}
LAMBDA = {
    "class_name": "Lambda",
    "config": {"function": ["4wEAAAA=\n", None, None], "function_type": "lambda"},
}
DENSE = {"class_name": "Dense", "config": {"units": 3}}


def joblib_files() -> None:
    """Write what joblib, scikit-learn and skops save."""
    joblib: Any = import_module("joblib")
    linear: Any = import_module("sklearn.linear_model")
    skops: Any = import_module("skops.io")
    for kind in ("zlib", "gzip", "bz2", "xz", "lzma", "lz4"):
        joblib.dump(VALUE, f"joblib-{kind}.bin", compress=(kind, 3))
    joblib.dump(VALUE, "joblib.weights")
    model = linear.LinearRegression().fit(np.eye(3), np.ones(3))
    skops.dump(model, "model.skops")
    joblib.dump(model, "model.joblib")
    Path("model.pkl").write_bytes(pickle.dumps(model))


def keras_files() -> None:
    """Write weights and models as Keras does, with and without a Lambda layer."""
    h5py: Any = import_module("h5py")
    with h5py.File("weights.h5", "w") as file:
        file.create_dataset("dense/kernel", data=np.ones((64, 64), "f4"), compression="gzip")
    for name, layer in (("model", DENSE), ("lambda", LAMBDA)):
        configuration = json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}})
        with h5py.File(f"{name}.h5", "w") as file:
            file.attrs["model_config"] = configuration
            file["k"] = np.ones((64, 64))
        with zipfile.ZipFile(f"{name}.keras", "w") as archive:
            archive.writestr("metadata.json", '{"keras_version": "3.5.0"}')
            archive.writestr("config.json", configuration)
            archive.write("weights.h5", "model.weights.h5")


def packed_files() -> None:
    """Write arrays, and pickles in compressions and archives."""
    zstandard: Any = import_module("zstandard")
    np.save("numbers.npy", np.arange(100.0))
    np.savez("numbers.npz", a=np.arange(100.0), b=np.zeros((3, 3), "f2"))
    np.savez_compressed("numbers-packed.npz", a=np.arange(1e5))
    np.save("objects.npy", np.array([{}], dtype=object))
    np.savez("objects.npz", a=np.array([{}, None], dtype=object))
    data = pickle.dumps(VALUE)
    for name, packed in (
        ("p0.txt", pickle.dumps(VALUE, 0)),
        ("weights.bin.bz2", bz2.compress(data)),
        ("weights.xz", lzma.compress(data)),
        ("weights.zst", zstandard.compress(data)),
        ("nested.gz", gzip.compress(bz2.compress(lzma.compress(data)))),
    ):
        Path(name).write_bytes(packed)
    torch = io.BytesIO()
    with zipfile.ZipFile(torch, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": 1}, 2))
        archive.writestr("archive/data/0", bytes(8000))
    Path("weights.ckpt.tmp").write_bytes(torch.getvalue())
    for name, mode in (("asr.nemo", "w"), ("asr-gz.nemo", "w:gz")):
        with tarfile.open(name, mode) as tar:  # type: ignore[call-overload]
            tar.add("weights.ckpt.tmp", "./model_weights.ckpt")
    with tarfile.open("harmless.tar.gz", "w:gz") as tar:
        tar.add("numbers.npy")
    Path("weights.ckpt.tmp").unlink()


def unfinished_files() -> None:
    """Write what stands in place of a file that was not fetched."""
    lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 9085657\n"
    Path("tokenizer.json").write_bytes(lfs)
    xet = b"# xet version 0\nfilesize = 9085657\nhash = '" + b"a" * 64 + b"'\n"
    Path("model.safetensors").write_bytes(xet)
    Path("model.onnx").write_text("<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n")
    Path("adapter_model.bin").write_text("Entry not found")
    Path("empty.gguf").touch()
    Path("model-00001.safetensors.incomplete").write_bytes(bytes(100))


def models_of_tools(onnx: str) -> None:
    """Write models of fastText, CTranslate2 and OpenVINO, whichever are installed."""
    if find_spec("fasttext"):
        lines = "\n".join(f"__label__{n % 3} word{n} text {n % 7}" for n in range(200))
        Path("lines.tmp").write_text(lines)
        tool: Any = import_module("fasttext")
        tool.train_supervised("lines.tmp", dim=8, verbose=0).save_model("fasttext.bin")
        Path("lines.tmp").unlink()
    if find_spec("ctranslate2"):
        tool = import_module("ctranslate2.specs")
        spec = tool.TransformerSpec.from_config(1, 2)
        _fill(spec)
        tokens = [f"t{n}" for n in range(8)]
        spec.register_source_vocabulary(tokens)
        spec.register_target_vocabulary(tokens)
        spec.validate()
        Path("ct2").mkdir(exist_ok=True)
        spec._serialize("ct2/model.bin")
    if find_spec("openvino") and onnx:
        tool = import_module("openvino")
        tool.save_model(tool.convert_model(onnx), "openvino/alexa.xml")


def _fill(spec: Any) -> None:
    """Give every number of a CTranslate2 specification that has none a small array."""
    for name, value in list(vars(spec).items()):
        for inner in value if isinstance(value, list) else [value]:
            if hasattr(inner, "__dict__"):
                _fill(inner)
        if value is None:
            setattr(spec, name, np.ones((8, 8), "f4"))


def main() -> None:
    """Make all in FOLDER."""
    onnx = str(Path(sys.argv[2]).resolve()) if len(sys.argv) > 2 else ""
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    os.chdir(sys.argv[1])
    if find_spec("joblib"):
        joblib_files()
        keras_files()
        packed_files()
        unfinished_files()
    models_of_tools(onnx)


if __name__ == "__main__":
    main()
