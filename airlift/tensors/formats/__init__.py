"""File formats as spans of typed elements: one module for each, and ``tiling``, which chooses one (SPEC 13)."""
