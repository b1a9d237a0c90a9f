"""The shape of a generated model, and how training moves it: what the generator draws from.

Every file is a small transformer of its own: half of its elements an embedding, the rest six layers of six matrices
with their norms and biases, and one matrix that nothing touches. Proportions, row scales and steps are those of
all-MiniLM-L6-v2 and of its fine-tunes; docs/benchmarks says how close the result comes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

LAYERS = 6
LAYER_SHARE = 0.47
LAYER_MATRICES = 12  # in units of width x width
WIDTH_STEP = 16
RANK = 8


class Kind(StrEnum):
    """What was done to the base."""

    SFT = "sft"  # a full fine-tune: every matrix, and the rows of tokens that occurred
    FAR = "far"  # a long one, as from a base to its instruct model: larger steps, in every row
    RL = "rl"  # tiny steps, most of which rounding swallows
    LORA = "lora"  # an adapter of rank 8 merged into every matrix of the layers
    INT8 = "int8"  # every matrix quantised to integers of eight bits by row, and saved as floats again


class Role(StrEnum):
    """What a tensor is for, which decides its numbers."""

    EMBEDDING = "embedding"
    MATRIX = "matrix"
    NORM = "norm"
    BIAS = "bias"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Rows:
    """Normal numbers; each row's deviation is ``std * exp(spread * normal)``, or 0 for all but a share of rows."""

    std: float
    spread: float = 0.0
    mean: float = 0.0
    touched: float = 1.0
    decay: float = 0.0  # of what the numbers are added to, relative: AdamW's weight decay


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor by name, role and shape; all of its elements have the file's dtype of two bytes."""

    name: str
    role: Role
    shape: tuple[int, ...]

    @property
    def rows(self) -> int:
        """The length of the first of two dimensions; a vector is one row."""
        return self.shape[0] if len(self.shape) == 2 else 1

    @property
    def columns(self) -> int:
        """The length of the last dimension."""
        return self.shape[-1]


BASES = {
    Role.EMBEDDING: Rows(0.0540, 0.27),
    Role.MATRIX: Rows(0.0520, 0.20),
    Role.NORM: Rows(0.09, mean=0.65),
    Role.BIAS: Rows(0.09),
    Role.IDLE: Rows(0.0091, 0.035),
}
STEPS = {
    Kind.SFT: {
        Role.EMBEDDING: Rows(2.3e-4, 0.33, touched=0.26, decay=4e-5),
        Role.MATRIX: Rows(3.2e-4, 0.12, decay=4e-5),
        Role.NORM: Rows(4e-4),
        Role.BIAS: Rows(4e-4),
    },
    Kind.FAR: {
        Role.EMBEDDING: Rows(8.1e-4, 0.33, decay=4e-5),
        Role.MATRIX: Rows(1.13e-3, 0.12, decay=4e-5),
        Role.NORM: Rows(1.4e-3),
        Role.BIAS: Rows(1.4e-3),
    },
    Kind.RL: {
        Role.EMBEDDING: Rows(3.0e-6, 0.3, touched=0.1),
        Role.MATRIX: Rows(3.2e-6, 0.3),
        Role.BIAS: Rows(3.2e-6),
    },
    Kind.LORA: {},
    Kind.INT8: {},
}
MERGE_STEP = 9.5e-4  # root mean square of what the adapter adds to an element


def layout(size: int, number: int) -> list[Tensor]:
    """Return the tensors of file ``number`` of about ``size`` bytes (within a row), in the order of their bytes."""
    elements = size // 2
    width = math.sqrt(elements * LAYER_SHARE / (LAYERS * LAYER_MATRICES))
    width = max(1, round(width / WIDTH_STEP)) * WIDTH_STEP
    rest = [tensor for layer in range(LAYERS) for tensor in _layer(number * LAYERS + layer, width)]
    rest.append(Tensor(f"pooler.{number}.weight", Role.IDLE, (width, width)))
    rows = max(1, (elements - sum(math.prod(tensor.shape) for tensor in rest)) // width)
    return [Tensor(f"embeddings.{number}.weight", Role.EMBEDDING, (rows, width)), *rest]


def _layer(number: int, width: int) -> Iterator[Tensor]:
    shapes = {"query": (1, 1), "key": (1, 1), "value": (1, 1), "output": (1, 1), "up": (4, 1), "down": (1, 4)}
    for name, (rows, columns) in shapes.items():
        yield Tensor(f"layers.{number}.{name}.weight", Role.MATRIX, (rows * width, columns * width))
        yield Tensor(f"layers.{number}.{name}.bias", Role.BIAS, (rows * width,))
    for name in ("attention_norm", "norm"):
        yield Tensor(f"layers.{number}.{name}.weight", Role.NORM, (width,))
        yield Tensor(f"layers.{number}.{name}.bias", Role.BIAS, (width,))
