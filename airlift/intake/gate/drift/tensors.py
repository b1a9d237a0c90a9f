"""Which tensors there are: the header of a safetensors file, and the index of a model in several files."""

from typing import Any

from airlift.errors import MalformedError
from airlift.intake.gate.drift import documents
from airlift.intake.gate.drift.documents import UnclearError
from airlift.intake.gate.stated import Index, Unclear, Weights
from airlift.intake.gate.views import View
from airlift.tensors.formats import safetensors
from airlift.tensors.region import Region

WEIGHTS = ".safetensors"
INDEX = ".index.json"
MAX_LISTED = 1 << 20


def read_weights(view: View) -> Weights | None:
    """Return the tensors of a safetensors file; None if it is damaged, which is told elsewhere (SPEC L2.8)."""
    size = view.size() or 0
    try:
        spans = safetensors.read(Region(view.read, 0, size)).tensors
    except MalformedError:
        return None
    rows = {span.name: span.shape[0] if span.shape else 0 for span in spans}
    return Weights(rows, sum(span.end - span.start for span in spans), size)


def read_index(view: View) -> Index | Unclear | None:
    """Return an index whose files are all safetensors; None if it is another index, or none (SPEC L2.7)."""
    try:
        document = documents.load(view)
    except UnclearError:
        return None
    named = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(named, dict) or not all(map(_is_weights, named.values())):
        return None
    if len(named) > MAX_LISTED:
        return Unclear(f"it lists more than {MAX_LISTED} tensors")
    return Index(named, _total(document))


def _is_weights(name: Any) -> bool:
    return isinstance(name, str) and name.lower().endswith(WEIGHTS)


def _total(document: dict[str, Any]) -> int | None:
    metadata = document.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    return total if type(total) is int else None
