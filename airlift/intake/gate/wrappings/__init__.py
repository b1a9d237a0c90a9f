"""Wrappings: archives and compressed streams, opened without a temporary file and within bounds (SPEC L2.5).

Each module yields views of what is inside; none judges it. Nothing is unpacked that nobody reads.
"""
