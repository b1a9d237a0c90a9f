"""Takes files in as components are gathered, and keeps none: they are only digested."""

from airlift.intake.collect import Digesting

ONLY_DIGESTED = Digesting()
