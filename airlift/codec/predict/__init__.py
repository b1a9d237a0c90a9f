"""Codecs that predict a block: from a low rank, an adapter, or numbers of another type (SPEC P1 to P4, N1, V1).

``lowrank``, ``adapter``, ``narrow`` and ``convert`` are the codecs. ``exact`` computes the first two predictions with
the same bits on every machine, ``rounding`` and ``quantised`` that of ``convert``; ``factors`` holds the bytes of a
low-rank one, and ``inner`` codes the target against the prediction with a codec of ``plain`` or ``ulp``. What
``exact`` does stands in ``kernel`` once more, in C.
``lowrank_search`` (with ``least_squares``), ``adapter_search`` and ``convert_search`` find a prediction; only the low
side runs them.
"""
