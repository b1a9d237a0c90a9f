"""What one file states, by its name: weights, an index of them, a tokenizer, a configuration (SPEC L2.13)."""

from collections.abc import Callable
from pathlib import PurePosixPath

from airlift.intake.gate.drift import tensors, tokens
from airlift.intake.gate.stated import Stated
from airlift.intake.gate.views import View


def read_facts(relative: str, view: View) -> Stated | None:
    """Return what a file states that others must agree with, None if it is of no kind that does.

    Raises:
        UncheckedError: it cannot be read.
    """
    reader = _reader(PurePosixPath(relative).name.lower())
    return reader(view) if reader is not None else None


def _reader(name: str) -> Callable[[View], Stated | None] | None:
    if name.endswith(tensors.WEIGHTS):
        return tensors.read_weights
    if name.endswith(tensors.INDEX):
        return tensors.read_index
    return {tokens.TOKENIZER: tokens.read_tokenizer, tokens.CONFIGURATION: tokens.read_configuration}.get(
        name
    )
