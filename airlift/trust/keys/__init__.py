"""Key pairs and signers: files, and PKCS#11 tokens (SPEC 4.1)."""
