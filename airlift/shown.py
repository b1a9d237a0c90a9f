"""Make text that others wrote safe to show: one line, no control or bidirectional characters (SPEC 14-3)."""

import unicodedata

MAX_TEXT = 4000
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def clean(text: object) -> str:
    """Return ``text`` on one line of MAX_TEXT at most, control, bidirectional and unassigned characters escaped."""
    shown = str(text)
    if len(shown) > MAX_TEXT:
        shown = f"{shown[:MAX_TEXT]}..."
    if shown.isascii() and shown.isprintable():
        return shown
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in _UNPRINTABLE else c for c in shown)
