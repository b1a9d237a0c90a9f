"""Volumes on media, for both sides: how they are written, found, read and held against themselves (SPEC 6.4, 6.5).

The low side writes volumes and checks them before they leave; the high side inspects, verifies and imports them. All
of them read with ``volume_reader``, so what one refuses the others refuse. No signature is verified here: the high
side does that.

``volume_writer`` writes volumes, in a folder that ``staging`` gives, ``volume_copies`` copies them, and
``standing_volumes`` goes on where an interrupted run ended; ``inventory`` lists the files of a volume and
refuses all others but ``leftovers`` of desktops; ``volume_reader`` finds volumes and reads them, with ``patience``;
``claims`` checks them against the bundle manifest that they carry. What is pure (a volume's text files, the sizes of
media, the cut) is in ``airlift.bundle``.
"""
