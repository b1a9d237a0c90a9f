"""What a file states that others must agree with: tensors, rows, ids of tokens (SPEC L2.13)."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Index:
    """An index of weights: the file of its folder that it names for each tensor, and the bytes that it says in all.

    ``total`` is None where it says none, or no whole number.
    """

    tensors: Mapping[str, str]
    total: int | None


@dataclass(frozen=True, slots=True)
class Weights:
    """A safetensors file of ``size`` bytes: the first dimension of each tensor (0 without one), and their bytes."""

    rows: Mapping[str, int]
    tensor_bytes: int
    size: int


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """A tokenizer: how many tokens it has, the highest id (-1 without any), a digest of which token has which id."""

    tokens: int
    highest: int
    digest: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """A model's configuration: how many ids it says that there are (None: it does not), and special ids by key."""

    vocabulary: int | None
    special: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Unclear:
    """What should state something, and why it cannot be told."""

    why: str


Stated = Index | Weights | Tokenizer | Configuration | Unclear
