"""Public keys, and private ones in files and on PKCS#11 tokens (SPEC 4.1)."""
