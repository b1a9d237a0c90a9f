"""The ledger: an append-only Merkle log of everything that was decided on the high side (SPEC 9)."""
