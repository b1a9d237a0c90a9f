"""Trust: keys and signers, TUF metadata of both sides, and signed statements (SPEC 4).

``keys`` holds key pairs in files and on tokens, ``tuf`` makes metadata (low side) and verifies it (high side), and
``statements`` are DSSE envelopes with what attesters and vendors say.
"""
