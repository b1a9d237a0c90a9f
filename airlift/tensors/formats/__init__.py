"""File formats as spans of typed elements: one module a format, and ``tiling``, which tells them apart (SPEC 13)."""
