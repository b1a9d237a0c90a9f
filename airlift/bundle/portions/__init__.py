"""Portions of bundles, pure: which of a bundle's lists is whose, as ranges of indices (SPEC 6.2-8).

What a portion means is said where bundles are known (:mod:`airlift.bundle.own`).
"""
