"""Takes files in as components are gathered, and keeps none: they are only digested."""

from pathlib import Path

from airlift.intake.collect import Taking
from airlift.store.content import ContentFolder

ONLY_DIGESTED = Taking(ContentFolder(Path("/nowhere")), {}, frozenset(), None)
