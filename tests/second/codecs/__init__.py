"""The decoders of section 12 in plain Python: integers, lists, and floats that are rounded by hand."""
