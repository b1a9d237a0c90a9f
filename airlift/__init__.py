"""airlift: air-gapped distribution of AI model updates.

The low side packs releases into signed, chunked, diff-based bundles; the high side verifies them, rebuilds every
file byte-exactly, activates the whole set at once or not at all, and records provenance that an assessor can check
with a public key alone. docs/SPEC.md is the format; each folder's docstring says what it is for.
"""

__version__ = "0.1.0"
