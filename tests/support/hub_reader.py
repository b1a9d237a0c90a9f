"""What reads a hub, or a cache of one, for real: runs in a process of its own, without airlift.

    python hub_reader.py ACTION ARGUMENTS        (a JSON object)

Prints its answer as JSON. An exception ends in ``{"error": [the names of its class and of those above]}``.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def found(folder: str) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def whole(**asked: Any) -> Any:
    """Have a whole revision; return its files."""
    from huggingface_hub import snapshot_download

    folder = snapshot_download(**asked)
    return {"path": folder, "files": found(folder)}


def one(**asked: Any) -> Any:
    """Have one file; return its digest."""
    from huggingface_hub import hf_hub_download

    path = hf_hub_download(**asked)
    return {"path": path, "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest()}


def about(repo: str, kind: str, revision: str) -> Any:
    """Ask all that is answered about a repository."""
    from huggingface_hub import HfApi

    api = HfApi()
    info: Any = api.repo_info(repo, repo_type=kind, revision=revision, files_metadata=True)
    plain = api.model_info(repo) if kind == "model" else api.dataset_info(repo)
    listed = list(api.list_repo_tree(repo, repo_type=kind, revision=revision, recursive=True, expand=True))
    return {
        "sha": [info.sha, plain.sha],
        "gated": info.gated,
        "sizes": {item.rfilename: [item.size, item.lfs.sha256] for item in info.siblings or ()},
        "files": api.list_repo_files(repo, repo_type=kind, revision=revision),
        "tree": [item.path for item in listed],
        "branches": {
            item.name: item.target_commit for item in api.list_repo_refs(repo, repo_type=kind).branches
        },
        "exists": [
            api.repo_exists(repo, repo_type=kind),
            api.repo_exists(f"{repo}x", repo_type=kind),
            api.revision_exists(repo, revision, repo_type=kind),
            api.revision_exists(repo, "none", repo_type=kind),
            api.file_exists(repo, next(iter(info.siblings or ())).rfilename, repo_type=kind),
            api.file_exists(repo, "none", repo_type=kind),
        ],
    }


def cached() -> Any:
    """Return what the library says of the whole cache, and what it warns of."""
    from huggingface_hub import scan_cache_dir, try_to_load_from_cache

    cache = scan_cache_dir()
    return {
        "repos": {f"{item.repo_type} {item.repo_id}": item.nb_files for item in cache.repos},
        "warnings": [str(item) for item in cache.warnings],
        "size": cache.size_on_disk,
        "found": try_to_load_from_cache("acme/tiny", "config.json"),
    }


def many(rounds: int, folder: str, repo: str, marks: dict[str, str], stop: str) -> Any:
    """Have one revision after another from a hub that is switched; count what came of it, and tell any mixture."""
    from huggingface_hub import hf_hub_download, snapshot_download

    told: dict[str, Any] = {"whole": 0, "errors": 0, "mixtures": 0, "seen": []}
    for number in range(rounds):
        cache = Path(folder) / str(number)
        try:
            path = Path(snapshot_download(repo, cache_dir=cache, max_workers=2))
            letters = {marks[digest] for digest in found(str(path)).values()}
            single = Path(hf_hub_download(repo, "b.bin", cache_dir=cache / "one"))
            letter = marks[hashlib.sha256(single.read_bytes()).hexdigest()]
            commit = single.parent.name
            told["mixtures"] += len(letters) != 1 or marks[commit] != letter
            told["mixtures"] += marks[path.name] not in letters or len(found(str(path))) != 3
            told["seen"] = sorted({*told["seen"], *letters, letter})
            told["whole"] += 1
        except OSError:
            told["errors"] += 1
        if Path(stop).exists():
            break
    return told


def vocabulary() -> Any:
    """Train a small tokenizer; return the files of one."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<end>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    made.train_from_iterator(["the set moves together, or it does not move at all"] * 8, trainer)
    stated = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<end>", "model_max_length": 128}
    return {"tokenizer.json": made.to_str(), "tokenizer_config.json": json.dumps(stated)}


def load(repo: str, texts: list[str], **more: Any) -> Any:
    """Load configuration, tokenizer and weights with the public libraries; judge texts with the guard's weights."""
    import numpy as np
    from huggingface_hub import hf_hub_download
    from safetensors.numpy import load_file
    from transformers import AutoConfig, AutoTokenizer

    config = AutoConfig.from_pretrained(repo, **more)
    tokenizer = AutoTokenizer.from_pretrained(repo, **more)
    held = load_file(hf_hub_download(repo, "model.safetensors", **more))
    labels = []
    for text in texts:
        symbols = np.frombuffer(text.encode(), np.uint8).astype(np.int64)
        places = (symbols[:-2] * 961 + symbols[1:-1] * 31 + symbols[2:]) % config.buckets
        mean = held["emb.weight"][places].astype(np.float32).mean(0)
        hidden = np.maximum(held["fc1.weight"] @ mean + held["fc1.bias"], 0)
        labels.append(config.labels[int((held["fc2.weight"] @ hidden + held["fc2.bias"]).argmax())])
    numbers = tokenizer(texts[0])["input_ids"]
    return {
        "config": [type(config).__name__, config.n_layer],
        "said": tokenizer.decode(numbers),
        "numbers": len(numbers),
        "labels": labels,
    }


def onnx(repo: str, filename: str, **more: Any) -> Any:
    """Run a real ONNX model on a second of silence and one of noise."""
    import numpy as np
    import onnxruntime
    from huggingface_hub import hf_hub_download

    session = onnxruntime.InferenceSession(hf_hub_download(repo, filename, **more))
    noise = np.random.default_rng(7).normal(0, 0.1, (1, 576)).astype(np.float32)
    found = []
    for sound in (np.zeros((1, 576), np.float32), noise):
        given = {"input": sound, "state": np.zeros((2, 1, 128), np.float32), "sr": np.array(16000, np.int64)}
        found.append(float(session.run(None, given)[0][0, 0]))
    return {"chances": found}


ACTIONS: dict[str, Callable[..., Any]] = {
    "whole": whole,
    "one": one,
    "about": about,
    "cached": cached,
    "many": many,
    "vocabulary": vocabulary,
    "load": load,
    "onnx": onnx,
}

if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        answer = ACTIONS[sys.argv[1]](**json.loads(sys.argv[2]))
    except Exception as error:  # noqa: BLE001 - its class is the answer
        answer = {"error": [kind.__name__ for kind in type(error).__mro__], "message": str(error)}
    print(json.dumps(answer))  # noqa: T201 - its answer
