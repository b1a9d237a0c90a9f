"""The list of layouts, and what is chosen when a release is served in one (SPEC 8.7-1, 8.7-2)."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from airlift import files, strict
from airlift.bundle.component.component import Component
from airlift.bundle.component.file_entry import FileEntry
from airlift.bundle.fields import NAME_HEX
from airlift.bundle.release import Release
from airlift.errors import ContentDamagedError, LayoutError, UsageError
from airlift.layouts import build
from airlift.layouts.plan import MAX_READ, Form, Plan, Subject, checked
from airlift.progress import Progress, silent
from airlift.store.content import ContentFolder

LAYOUTS: Mapping[str, int] = MappingProxyType(
    {"tree": 1, "hf-cache": 1, "hf-mirror": 1, "ollama": 1, "oci": 1, "oci-image": 1}
)
"""The layouts, each with the number of its rendering: it grows when the same release is laid out in another way."""

_SERVED_AS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}\Z")
MAX_NAMES = 1024


@dataclass(frozen=True, slots=True)
class Choice:
    """How a release is served: the layout, which components (none: all), and as what, by component's name; sorted."""

    layout: str
    components: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()

    def tree_name(self, release: str, chosen: Sequence[str] = ()) -> str:
        """Return the name of the folder with the tree of the release with this digest, so served.

        ``chosen`` are the names of its variants that it is served with.
        """
        stated = {
            "layout": self.layout,
            "rendering": LAYOUTS[self.layout],
            "components": list(self.components),
            "names": dict(self.names),
            "release": release,
            **({"variants": sorted(chosen)} if chosen else {}),
        }
        return hashlib.sha512(strict.format(stated)).hexdigest()[:NAME_HEX]


def choose(layout: str, components: tuple[str, ...] = (), names: Mapping[str, str] | None = None) -> Choice:
    """Return a choice that an operator made, checked as far as no release is needed.

    Raises:
        UsageError: there is no such layout, or a name is none.
    """
    if layout not in LAYOUTS:
        raise UsageError("there is no such layout", expected=", ".join(LAYOUTS), found=ascii(layout[:40]))
    given = dict(names or {})
    for served_as in given.values():
        if not _SERVED_AS.match(served_as) or ".." in served_as or "//" in served_as:
            raise UsageError(
                "this is no name to serve a component as",
                expected="letters, digits and ._:/- as in ORG/NAME or NAME:TAG",
                found=ascii(served_as[:80]),
                hint="give it as --as COMPONENT=NAME",
            )
    if len(given) > MAX_NAMES or len(components) > MAX_NAMES:
        raise UsageError("these are too many names", expected=f"at most {MAX_NAMES}")
    return Choice(layout, tuple(sorted(set(components))), tuple(sorted(given.items())))


def plan_of(
    choice: Choice, release: Release, content: ContentFolder, drafts: build.Drafts | None = None
) -> Plan:
    """Return the plan of a release that is served as ``choice`` says.

    With ``drafts``, files that are joined are written there in the pass that digests them.

    Raises:
        LayoutError: the release has no such component, or cannot be served so.
        ContentDamagedError, UncheckedError: a file that the form must read is damaged or cannot be read.
        StorageError: a draft cannot be written.
    """
    subject = Subject(
        release=release,
        components=_chosen(choice, release),
        names=dict(choice.names),
        read=lambda entry: _read(content, entry),
        digest_joined=drafts.digest if drafts else lambda joined: build.digest_joined(joined, content),
        head=lambda entry, length: _head(content, entry, length),
    )
    return checked(_form(choice.layout)(subject))


def lay_out(
    choice: Choice, release: Release, content: ContentFolder, place: Path, progress: Progress = silent
) -> build.Built:
    """Build the tree of a release in the empty folder ``place``, durably; errors of :func:`plan_of` and ``fill``."""
    drafts = build.Drafts(content, place, progress, sum(entry.size for _, entry in release.files()))
    plan = plan_of(choice, release, content, drafts)
    return build.fill(plan, content, place, progress, drafts)


def _form(layout: str) -> Form:
    """Return the function of a layout; its module is loaded only now."""
    match layout:
        case "tree":
            from airlift.layouts.forms.tree import lay_out  # noqa: PLC0415 - loaded only if it is needed
        case "hf-cache":
            from airlift.layouts.forms.hf_cache import lay_out  # noqa: PLC0415 - as above
        case "hf-mirror":
            from airlift.layouts.forms.hf_mirror import lay_out  # noqa: PLC0415 - as above
        case "ollama":
            from airlift.layouts.forms.ollama import lay_out  # noqa: PLC0415 - as above
        case "oci":
            from airlift.layouts.forms.oci import lay_out  # noqa: PLC0415 - as above
        case "oci-image":
            from airlift.layouts.forms.oci_image import lay_out  # noqa: PLC0415 - as above
        case _:
            raise ValueError(layout)
    return lay_out


def _chosen(choice: Choice, release: Release) -> tuple[Component, ...]:
    known = {component.folder: component for component in release.components}
    wanted = {*choice.components, *dict(choice.names)}
    for name in sorted(wanted - known.keys()):
        raise LayoutError(
            f"{release.label} has no component {name}", expected=", ".join(known), found=ascii(name[:80])
        )
    return tuple(known[name] for name in choice.components or known)


def _read(content: ContentFolder, entry: FileEntry) -> bytes:
    """Return the bytes of a small file, which have its digest."""
    data = files.read_bounded(content.path(entry.sha512), min(MAX_READ, entry.size))
    if hashlib.sha512(data).hexdigest() != entry.sha512:
        raise ContentDamagedError("content at rest is damaged", expected=entry.sha512[:16])
    return data


def _head(content: ContentFolder, entry: FileEntry, length: int) -> bytes:
    """Return the first bytes of a file of any size; what lies there is believed."""
    path = content.path(entry.sha512)
    with files.opened(path) as descriptor, files.reading(path):
        return files.read_at(descriptor, 0, min(length, entry.size))


def describe(choice: Choice) -> dict[str, Any]:
    """Return a choice in plain values."""
    return {"layout": choice.layout, "components": list(choice.components), "names": dict(choice.names)}
