"""What comes back from enclaves: register the public key that verifies what an enclave signs (SPEC 5.3)."""
