"""Reads what a layout serves with other people's libraries; runs in an environment of its own, without airlift.

    python layout_readers.py llama MODEL [ADAPTER]          what a model of llama.cpp answers to one word
    python layout_readers.py gguf FILE                      what ggml's own library reads of a header
    python layout_readers.py modelpack REFERENCE FOLDER     pull as ModelPack's client does
    python layout_readers.py oras REFERENCE FOLDER          pull as ORAS does
    python layout_readers.py schema FILE                    hold a configuration against ModelPack's schema

Prints one JSON value; what cannot be read ends in an exception.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def llama(model: str, *adapters: str) -> Any:
    """Load a model with adapters, and let it write."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.n_ctx = 64
    parameters.n_gpu_layers = 0
    parameters.warmup = False
    parameters.cpuparams.n_threads = 1
    lora = []
    for adapter in adapters:
        one = xllamacpp.CommonAdapterLoraInfo()
        one.path, one.scale = adapter, 1.0
        lora.append(one)
    if lora:
        parameters.lora_adapters = lora
    server = xllamacpp.Server(parameters)
    asked = {"prompt": "Hello", "n_predict": 4, "temperature": 0, "seed": 1, "return_tokens": True}
    return server.handle_completions(asked)


def gguf(path: str) -> Any:
    """Return architecture and shapes of a file."""
    from gguf import GGUFReader

    reader = GGUFReader(path)
    return {
        "architecture": bytes(reader.fields["general.architecture"].parts[-1]).decode(),
        "numbers": sum(int(tensor.n_elements) for tensor in reader.tensors),
    }


def modelpack(reference: str, folder: str) -> Any:
    """Pull; it validates manifest, configuration, digests and paths."""
    from modelpack_client import ModelPackClient

    result = ModelPackClient(insecure=True).pull(reference, Path(folder))
    return sorted(str(Path(path).relative_to(Path(folder).resolve())) for path in result.files)


def oras(reference: str, folder: str) -> Any:
    """Pull; it names files by their title."""
    import oras.client

    found = oras.client.OrasClient(insecure=True).pull(target=reference, outdir=folder)
    return sorted(str(Path(path).relative_to(folder)) for path in found)


def schema(path: str) -> Any:
    """Validate a configuration."""
    import jsonschema
    from modelpack_client.schema import CONFIG_SCHEMA

    jsonschema.Draft202012Validator(CONFIG_SCHEMA).validate(json.loads(Path(path).read_bytes()))
    return "valid"


READERS: dict[str, Callable[..., Any]] = {
    "llama": llama,
    "gguf": gguf,
    "modelpack": modelpack,
    "oras": oras,
    "schema": schema,
}

if __name__ == "__main__":
    print(json.dumps(READERS[sys.argv[1]](*sys.argv[2:])))  # noqa: T201 - its answer
