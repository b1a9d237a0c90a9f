"""What comes back from enclaves: whose word the depot takes, by the public key of its ledger (SPEC 5.3)."""
