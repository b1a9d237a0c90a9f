"""TUF metadata: strict checks, the depot's authorities and bundler, and the enclave's verifier (SPEC 4.2 to 4.4)."""
