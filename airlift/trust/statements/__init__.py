"""Signed statements: DSSE envelopes, in-toto attestations, and vendors' signatures over models (SPEC 4.5, 5.5)."""
