"""Codecs that predict a block: from a low rank, from an adapter, or in a narrower type (SPEC P1 to P4, N1).

``lowrank``, ``adapter`` and ``narrow`` are the codecs. ``exact`` computes a prediction with the same bits on every
machine, ``factors`` holds the bytes of a low-rank one, and ``inner`` codes the target against the prediction with a
codec of ``plain`` or ``ulp``. ``lowrank_search`` (with ``least_squares``) and ``adapter_search`` find a prediction;
only the low side runs them.
"""
