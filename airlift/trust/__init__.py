"""Trust: keys and signers, the TUF repository (low side) and the TUF verifier (high side) (SPEC 4)."""
