"""The codec ``grid``: floats that are small integers, or eight-bit floats, times a scale (SPEC G1 to G5).

``grid`` is the codec, ``steps`` what numbers and steps make of each other, ``fit`` finds scales for the encoder.
"""
