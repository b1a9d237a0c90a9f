"""What comes back from enclaves: register the key that verifies it, take in receipts and requests (SPEC L6)."""
