"""File formats as spans of typed elements: one module for each, and ``tiling``, which chooses by name (SPEC 13)."""
