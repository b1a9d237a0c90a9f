"""Pieces of an HTML page: everything that comes in is shown as text, whatever it holds (SPEC 15.6). Pure."""

import html
from collections.abc import Iterable, Sequence
from typing import NewType

from airlift.shown import clean

Markup = NewType("Markup", str)
"""Text that is HTML already; everything else is escaped."""

NOTHING = Markup("")


def text(value: object) -> Markup:
    """Return anything as escaped text on one line; markup stays as it is only inside the functions of this room."""
    return Markup(html.escape(clean(value), quote=True))


def join(parts: Iterable[Markup], between: str = "") -> Markup:
    """Return pieces one after the other."""
    return Markup(between.join(parts))


def tag(name: str, *inner: Markup, **attributes: object) -> Markup:
    """Return an element; ``class_`` stands for class, ``_`` in names for ``-``; None leaves an attribute out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{given}>{''.join(inner)}</{name}>")


def digest(value: str) -> Markup:
    """Return a digest in full; it may wrap anywhere."""
    return tag("code", text(value), class_="digest")


def short(value: str, digits: int = 16) -> Markup:
    """Return the first digits of a digest, and all of it as a tooltip."""
    return tag("code", text(value[:digits]), title=value) if value else text("-")


def table(
    caption: str, headers: Sequence[str], rows: Iterable[Sequence[Markup]], empty: str = "None."
) -> Markup:
    """Return a table with a caption, in a box that scrolls by itself; the first cell of a row heads it."""
    lines = [
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows
    ]
    if not lines:
        return tag("p", text(empty), class_="none")
    head = tag("thead", tag("tr", *(tag("th", text(header), scope="col") for header in headers)))
    whole = tag("table", tag("caption", text(caption)), head, tag("tbody", *lines))
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def labelled(rows: Iterable[tuple[str, Markup]]) -> Markup:
    """Return labels and their values."""
    return tag("dl", *(tag("div", tag("dt", text(label)), tag("dd", value)) for label, value in rows))


def section(name: str, title: str, *inner: Markup) -> Markup:
    """Return a section with its heading, which links can lead to."""
    return tag(
        "section", tag("h2", text(title), id=f"{name}-h"), *inner, id=name, aria_labelledby=f"{name}-h"
    )
