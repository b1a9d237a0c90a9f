"""Codecs that know nothing of numbers: copies, zstd frames, and planes of bytes (SPEC C3 to C7)."""
