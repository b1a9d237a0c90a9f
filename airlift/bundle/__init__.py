"""The transfer format, pure: release and bundle manifests, chunks, volumes (SPEC 5 and 6).

Bytes and plain values come in, bytes and frozen values go out; nothing here opens a file, reads a clock or knows a
key. What ``parse`` accepts, ``format`` writes back identically, and every length is bounded before it is used.
"""
