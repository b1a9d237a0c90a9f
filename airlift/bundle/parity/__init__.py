"""Parity in bundles, pure: the stripes that a manifest states, and how chunks are laid out in stripes and volumes.

Nothing here computes parity (:mod:`airlift.erasure` does) or reads a volume: sizes, indices and digests (SPEC 6.7).
"""
