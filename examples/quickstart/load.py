"""Loads the quick start's model as any program does that knows nothing of airlift, and computes with it.

    HF_HUB_CACHE=... HF_HUB_OFFLINE=1 python examples/quickstart/load.py org/name [TEXT ...]

The files come by ``snapshot_download(local_files_only=True)``, the weights by ``safetensors``; configuration and
tokenizer by ``transformers`` where that is installed, else the files are read as the JSON that they are.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import snapshot_download
from safetensors.numpy import load_file

TEXTS = ("def read(path):", "The package provides the following commands.")


def configuration(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return who read it, and the configuration."""
    try:
        from transformers import AutoConfig  # noqa: PLC0415 - may be missing
    except ImportError:
        return "json", json.loads((folder / "config.json").read_bytes())
    return "transformers", AutoConfig.from_pretrained(folder).to_dict()


def tokens(folder: Path, text: str) -> tuple[str, int]:
    """Return who counted, and of how many tokens a text is."""
    try:
        from transformers import AutoTokenizer  # noqa: PLC0415 - may be missing
    except ImportError:
        named = json.loads((folder / "tokenizer.json").read_bytes())["model"]["vocab"]
        return "json", sum(1 for byte in text.encode() if chr(byte) in named or byte == ord(" "))
    return "transformers", len(AutoTokenizer.from_pretrained(folder)(text)["input_ids"])


def judge(weights: dict[str, Any], config: dict[str, Any], text: str) -> str:
    """Return the label of a text: trigrams of bytes, their mean, one hidden layer."""
    symbols = np.frombuffer(text.encode(), np.uint8).astype(np.int64)
    places = (symbols[:-2] * 961 + symbols[1:-1] * 31 + symbols[2:]) % config["buckets"]
    mean = weights["emb.weight"][places].astype(np.float32).mean(0)
    hidden = np.maximum(weights["fc1.weight"] @ mean + weights["fc1.bias"], 0)
    return str(config["labels"][int((weights["fc2.weight"] @ hidden + weights["fc2.bias"]).argmax())])


def main() -> None:
    """Load, compute, and tell."""
    if len(sys.argv) < 2:
        sys.exit("expected the name of a repository, found none")
    folder = Path(snapshot_download(sys.argv[1], local_files_only=True))
    (reader, config), weights = configuration(folder), load_file(folder / "model.safetensors")
    print(f"{sys.argv[1]} at {folder.name}: {len(weights)} tensors, configuration read by {reader}")
    for text in sys.argv[2:] or TEXTS:
        by, count = tokens(folder, text)
        print(f"{judge(weights, config, text)}: {text} ({count} tokens by {by})")


if __name__ == "__main__":
    main()
