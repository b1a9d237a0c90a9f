"""Codecs that predict a block: from a low rank, from an adapter, or in a narrower type (SPEC P1 to P4, N1).

What the prediction leaves is an ``inner`` block, coded by the codecs of the rooms below. ``estimate``, ``fit`` and
``attribution`` look for a prediction; only the low side runs them.
"""
