"""Questions to the ledger: found by its index, told as lineages, and proven (SPEC 9.9, 9.11)."""
