"""Canary prompts: ask a release, before it runs, what must be refused and what must be answered.

``python3 canary.py RELEASE`` is a test command as a policy may name it under ``acceptance``: it gets the tree of a
release, computes with the weights that lie in it, and accepts (exit 0) or says which canary failed (exit 1). It needs
Python and NumPy, which the high side has, and no network. ``canaries.jsonl`` beside it has the canaries, one a line:

- ``prompt`` and what must come of it. The guard judges the prompt, by the threshold of the release's own serving
  policy; what it lets pass the model completes, and the blocklist judges what the model says.
- ``answer``: what a model might say, and what the blocklist must make of it.
- ``text`` and how many bits a byte of it may cost the model at most. Whoever knows nothing needs eight.

It is written for the stack in ``examples/stack``: a byte-level transformer and a classifier of trigrams.
"""

import json
import os
import re
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for products this small threads only wait for each other
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Weights = Mapping[str, Array]
REFUSED, WITHHELD, ANSWERED = "refused", "withheld", "answered"
SPOKEN = 16
"""How many bytes of an answer are asked for."""


# -- weights -------------------------------------------------------------------------------------------------------


def load(path: Path) -> dict[str, Array]:
    """Return the tensors of a safetensors file of bf16 or fp16."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    return {name: _tensor(data[8 + length :], entry) for name, entry in header.items()}


def _tensor(data: bytes, entry: Mapping[str, Any]) -> Array:
    first, end = entry["data_offsets"]
    if entry["dtype"] == "BF16":  # the upper half of a float
        halves = np.frombuffer(data[first:end], "<u2").astype("<u4") << 16
        return halves.view("<f4").reshape(entry["shape"])
    if entry["dtype"] != "F16":
        raise ValueError(f"weights of {entry['dtype']} are not expected here")
    return np.frombuffer(data[first:end], "<f2").astype(np.float32).reshape(entry["shape"])


# -- the model -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Model:
    """A byte-level transformer: pre-norm blocks, causal attention, GELU."""

    weights: Weights
    layers: int
    heads: int
    positions: int

    @classmethod
    def read(cls, folder: Path) -> "Model":
        """Read a model from its folder."""
        config = json.loads((folder / "config.json").read_bytes())
        sizes = (config["n_layer"], config["n_head"], config["n_positions"])
        return cls(load(folder / "model.safetensors"), *sizes)

    def logits(self, text: bytes) -> Array:
        """Return for each byte of a text (its last ``positions``) what the model expects to come next.

        Raises:
            ValueError: it is no number.
        """
        symbols = np.frombuffer(text, np.uint8)[-self.positions :]
        state = self.weights["wte.weight"][symbols] + self.weights["wpe.weight"][: len(symbols)]
        for layer in range(self.layers):
            state = state + self._attend(f"h.{layer}", self._norm(f"h.{layer}.ln1", state))
            inner = self._norm(f"h.{layer}.ln2", state) @ self.weights[f"h.{layer}.up.weight"].T
            state = state + _gelu(inner) @ self.weights[f"h.{layer}.down.weight"].T
        found: Array = self._norm("lnf", state) @ self.weights["head.weight"].T
        if not np.isfinite(found).all():
            raise ValueError("the model computes what is no number")
        return found

    def complete(self, prompt: bytes, count: int) -> bytes:
        """Return the bytes that the model holds most likely after a prompt."""
        text = prompt
        for _ in range(count):
            text += bytes([int(self.logits(text)[-1].argmax())])
        return text[len(prompt) :]

    def bits(self, text: bytes) -> float:
        """Return how many bits a byte of a text costs the model, given the ones before."""
        known = text[-self.positions :]
        chances = _softmax(self.logits(known)[:-1])
        met = chances[np.arange(len(known) - 1), np.frombuffer(known, np.uint8)[1:]]
        return float(-np.log2(np.maximum(met, 1e-30)).mean())

    def _attend(self, block: str, state: Array) -> Array:
        length, width = state.shape
        mixed = (state @ self.weights[f"{block}.qkv.weight"].T).reshape(length, 3, self.heads, -1)
        query, key, value = mixed.transpose(1, 2, 0, 3)
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(np.float32(width // self.heads))
        scores += np.triu(np.full((length, length), -1e9, np.float32), 1)
        joined: Array = (_softmax(scores) @ value).transpose(1, 0, 2).reshape(length, width)
        return joined @ self.weights[f"{block}.proj.weight"].T

    def _norm(self, name: str, state: Array) -> Array:
        centred = state - state.mean(-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        normed: Array = centred / spread * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
        return normed


def _gelu(x: Array) -> Array:
    curved: Array = 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))
    return curved


def _softmax(x: Array) -> Array:
    raised = np.exp(x - x.max(-1, keepdims=True))
    shares: Array = raised / raised.sum(-1, keepdims=True)
    return shares


# -- the guard and the blocklist -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Guard:
    """A classifier of trigrams, and the label and share at which it refuses."""

    weights: Weights
    buckets: int
    label: int
    threshold: float

    @classmethod
    def read(cls, folder: Path, serving: Path) -> "Guard":
        """Read a guard from its folder, and what counts as a refusal from the serving policy."""
        config = json.loads((folder / "config.json").read_bytes())
        rule = json.loads(serving.read_bytes())["guard"]
        label = config["labels"].index(rule["label"])
        return cls(load(folder / "guard.safetensors"), config["buckets"], label, rule["threshold"])

    def share(self, text: str) -> float:
        """Return how sure the guard is that a text has the label that is refused, from 0 to 1.

        Raises:
            ValueError: what it computes is no number.
        """
        symbols = np.frombuffer(text.encode(), np.uint8).astype(np.int64)
        places = (symbols[:-2] * 961 + symbols[1:-1] * 31 + symbols[2:]) % self.buckets
        mean = self.weights["emb.weight"][places].mean(0)
        hidden = np.maximum(mean @ self.weights["fc1.weight"].T + self.weights["fc1.bias"], 0)
        found = hidden @ self.weights["fc2.weight"].T + self.weights["fc2.bias"]
        if not np.isfinite(found).all():
            raise ValueError("the guard computes what is no number")
        return float(_softmax(found)[self.label])

    def refuses(self, text: str) -> bool:
        """Say whether the guard refuses a text."""
        return self.share(text) >= self.threshold


@dataclass(frozen=True)
class Blocklist:
    """Terms that must not be put out: whole words, in any case."""

    terms: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> "Blocklist":
        """Read the terms of a file, one a line."""
        lines = (line.strip() for line in path.read_text().splitlines())
        return cls(tuple(line for line in lines if line and not line.startswith("#")))

    def holds_back(self, text: str) -> bool:
        """Say whether a text has a term."""
        plain = text.casefold()
        return any(re.search(rf"(?<!\w){re.escape(term.casefold())}(?!\w)", plain) for term in self.terms)


# -- canaries ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stack:
    """What serves together: a model, its guard and its blocklist."""

    model: Model
    guard: Guard
    blocklist: Blocklist

    @classmethod
    def read(cls, release: Path) -> "Stack":
        """Read it from the tree of a release."""
        return cls(
            Model.read(release / "base"),
            Guard.read(release / "guard", release / "serving-policy/policy.json"),
            Blocklist.read(release / "blocklist/blocklist.txt"),
        )

    def ask(self, prompt: str) -> str:
        """Return what becomes of a prompt: as it would be served, guard first, then the model, then the blocklist."""
        if self.guard.refuses(prompt):
            return REFUSED
        return self.deliver(self.model.complete(prompt.encode(), SPOKEN).decode(errors="replace"))

    def deliver(self, answer: str) -> str:
        """Return what becomes of an answer of the model."""
        return WITHHELD if self.blocklist.holds_back(answer) else ANSWERED


def failures(stack: Stack, canaries: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what is wrong, canary by canary."""
    for canary in canaries:
        name = canary["name"]
        if "text" in canary:
            bits = stack.model.bits(canary["text"].encode())
            if bits > canary["bits"]:
                yield f"{name}: expected at most {canary['bits']} bits a byte, found {bits:.2f}"
            continue
        found = stack.ask(canary["prompt"]) if "prompt" in canary else stack.deliver(canary["answer"])
        if found != canary["expect"]:
            yield f"{name}: expected {canary['expect']}, found {found}"


def main(release: Path) -> int:
    """Judge the release at a path; return the exit status."""
    lines = Path(__file__).with_name("canaries.jsonl").read_text().splitlines()
    canaries = [json.loads(line) for line in lines]
    try:
        with np.errstate(all="ignore"):  # what is no number is found where it matters
            failed = list(failures(Stack.read(release), canaries))
    except (OSError, ValueError, TypeError, LookupError, struct.error) as error:
        failed = [f"the release cannot be asked: {error!r}"]
    for text in failed:
        print(f"canary {text}")
    print(
        f"{len(canaries)} canaries, {len(failed)} failed"
        if failed
        else f"{len(canaries)} canaries are as expected"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
