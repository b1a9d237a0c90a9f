"""How long work tells how far it is: one callable, so that no room but the command line knows of terminals."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the stage (a short text), and how much of it is done out of a total, in bytes or items."""


def silent(_stage: str, _done: int, _total: int) -> None:
    """Report nothing."""
