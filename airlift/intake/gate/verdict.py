"""What the gate says of a file: objections that a waiver may meet, and as what it was recognised (SPEC L2.5)."""

from dataclasses import dataclass
from typing import Final

from airlift.errors import ForbiddenFileError
from airlift.intake.gate.stated import Stated

PICKLE: Final = "pickle"
CODE: Final = "code"
DRIFT: Final = "drift"
REMOTE_CODE: Final = "remote-code"
KINDS: Final = (CODE, DRIFT, PICKLE, REMOTE_CODE)
"""What an objection can be about, sorted."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a file may not cross without a waiver for ``what``, one of ``KINDS``; ``path`` is relative."""

    what: str
    path: str
    message: str
    found: str = ""
    hint: str = ""

    def error(self) -> ForbiddenFileError:
        """Return the refusal for where nothing meets the objection."""
        waive = f"accept: [{{what: {self.what}, reason: ...}}]"
        hint = f"{self.hint}; or say why it may cross: `{waive}` in the component"
        return ForbiddenFileError(self.message, found=self.found, hint=hint)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The objections to a file, at most one of each kind; and what container it surely is, "" for none.

    ``remark`` says why a file that was not recognised was not, where there is more to say than that. ``stated`` is
    what other files of the component must agree with (SPEC L2.13).
    """

    objections: tuple[Objection, ...]
    recognised: str = ""
    remark: str = ""
    stated: Stated | None = None
