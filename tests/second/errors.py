"""The one error of the second importer: a code of section 10, and the exit code that goes with it."""

EXITS = {
    3: (
        *(
            "malformed",
            "signature-invalid",
            "digest-mismatch",
            "inventory-mismatch",
            "volumes-mixed",
            "replayed",
        ),
        *("sequence-reused", "ledger-inconsistent", "trust-state-mismatch", "content-damaged"),
    ),
    4: ("volumes-missing",),
    5: ("baseline-not-held", "baseline-damaged", "release-not-held"),
    6: (
        *(
            "refused",
            "wrong-enclave",
            "marking-refused",
            "waiver-refused",
            "variant-refused",
            "inventory-refused",
            "expired",
        ),
        *("revoked", "unpublished", "overtaken"),
    ),
    7: ("unreadable", "key-unavailable", "permission-denied", "format-too-new", "busy", "recovery-needed"),
    8: ("io-error", "no-space"),
}
"""Exit codes and their code strings (section 10), those that an importer can end with."""

_EXIT_OF = {code: number for number, codes in EXITS.items() for code in codes}


class Refused(Exception):  # noqa: N818 -- it is a verdict, not a fault
    """What was given is refused, is incomplete or could not be checked.

    Attributes:
        code: The code string of section 10.
        exit: The exit code that goes with it.
    """

    def __init__(self, code: str, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code = code
        self.exit = _EXIT_OF[code]


def malformed(why: str) -> Refused:
    """Return what most rules are refused with."""
    return Refused("malformed", why)


def demand(condition: object, why: str, code: str = "malformed") -> None:
    """Hold a rule.

    Raises:
        Refused: With ``code``, if the condition does not hold.
    """
    if not condition:
        raise Refused(code, why)
