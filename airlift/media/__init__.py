"""Volumes on media, for both sides: how they are written, found, read and held against themselves (SPEC 6.4, 6.5).

The low side writes volumes and checks them before they leave; the high side inspects, verifies and imports them. All
of them read through the one reader of this room, so what one refuses the others refuse. Nothing is proven here: trust
is what the high side adds.

``writer`` writes volumes, in a folder that ``staging`` gives; ``inventory`` says which files a volume has; ``reader``
finds volumes and reads them; ``claims`` holds them against the bundle manifest that they carry. What is pure (a
volume's text files, the sizes of media, the cut) is in ``airlift.bundle``.
"""
