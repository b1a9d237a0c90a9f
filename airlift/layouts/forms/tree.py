"""``tree``: the release as folders of components, as ``active`` shows it (SPEC 8.7.1)."""

from airlift.layouts.plan import Linked, Plan, Subject, merged


def lay_out(subject: Subject) -> Plan:
    """Return ``<name>/<path>`` for every file; a component's name is its own unless the operator gave another."""
    return merged(
        (f"{subject.names.get(component.folder, component.folder)}/{entry.path}", Linked(entry))
        for component in subject.components
        for entry in component.files
    )
