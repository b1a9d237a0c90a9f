"""The enclave on disk: layout, making, recovery, checks, cleaning, and the policy in force (SPEC 8)."""
