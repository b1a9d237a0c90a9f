"""The codec ``ulp``: differences in units in the last place, entropy-coded (SPEC U1 to U8).

``ulp`` prepares a block, ``kernel`` runs the coder: compiled C where it was built, or ``reference`` in NumPy.
Both give the same bytes. The other modules are the parts of the format.
"""
