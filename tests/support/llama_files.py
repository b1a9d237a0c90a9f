"""Makes the smallest GGUF files that llama.cpp loads: a llama of one layer, with a word for every byte."""

import struct

import numpy as np

from tests.support.gguf_files import F32, STRING, Tensor, array, gguf, number, pair, string

FLOAT, I32 = 6, 5
WIDTH, INNER, HEADS = 64, 128, 4
TOKENS = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
TYPES = [2, 3, 3, *[6] * 256]  # unknown, control, control, bytes
SHAPES = {
    "token_embd": (WIDTH, len(TOKENS)),
    "output_norm": (WIDTH,),
    "output": (WIDTH, len(TOKENS)),
    "blk.0.attn_norm": (WIDTH,),
    "blk.0.attn_q": (WIDTH, WIDTH),
    "blk.0.attn_k": (WIDTH, WIDTH),
    "blk.0.attn_v": (WIDTH, WIDTH),
    "blk.0.attn_output": (WIDTH, WIDTH),
    "blk.0.ffn_norm": (WIDTH,),
    "blk.0.ffn_gate": (WIDTH, INNER),
    "blk.0.ffn_up": (WIDTH, INNER),
    "blk.0.ffn_down": (INNER, WIDTH),
}
NUMBERS = sum(int(np.prod(shape)) for shape in SHAPES.values())


def llama(seed: int = 1, chat_template: str = "{{ messages[0]['content'] }}") -> bytes:
    """Return a model of random weights."""
    random = np.random.default_rng(seed)
    pairs = [
        pair("general.architecture", STRING, string("llama")),
        pair("general.type", STRING, string("model")),
        number("general.file_type", 0),
        number("llama.context_length", 128),
        number("llama.embedding_length", WIDTH),
        number("llama.block_count", 1),
        number("llama.feed_forward_length", INNER),
        number("llama.attention.head_count", HEADS),
        pair("llama.attention.layer_norm_rms_epsilon", FLOAT, struct.pack("<f", 1e-5)),
        pair("tokenizer.ggml.model", STRING, string("llama")),
        array("tokenizer.ggml.tokens", STRING, len(TOKENS), b"".join(map(string, TOKENS))),
        array("tokenizer.ggml.scores", FLOAT, len(TOKENS), bytes(4 * len(TOKENS))),
        array("tokenizer.ggml.token_type", I32, len(TOKENS), struct.pack(f"<{len(TYPES)}i", *TYPES)),
        number("tokenizer.ggml.bos_token_id", 1),
        number("tokenizer.ggml.eos_token_id", 2),
        pair("tokenizer.chat_template", STRING, string(chat_template)),
    ]
    tensors = [_tensor(random, f"{name}.weight", shape) for name, shape in SHAPES.items()]
    return gguf(tensors, pairs)


def adapter(seed: int = 2) -> bytes:
    """Return a LoRA adapter for :func:`llama`."""
    random, rank = np.random.default_rng(seed), 4
    pairs = [
        pair("general.architecture", STRING, string("llama")),
        pair("general.type", STRING, string("adapter")),
        pair("adapter.type", STRING, string("lora")),
        pair("adapter.lora.alpha", FLOAT, struct.pack("<f", 4000.0)),
    ]
    tensors = [
        _tensor(random, "blk.0.ffn_down.weight.lora_a", (INNER, rank)),
        _tensor(random, "blk.0.ffn_down.weight.lora_b", (rank, WIDTH)),
    ]
    return gguf(tensors, pairs)


def projector() -> bytes:
    """Return the header of what turns pictures into tokens; nobody loads it."""
    return gguf([], [pair("general.architecture", STRING, string("clip"))])


def _tensor(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> Tensor:
    values = random.normal(0, 0.05, int(np.prod(shape))).astype("<f4")
    return Tensor(name, shape, F32, values.tobytes())
