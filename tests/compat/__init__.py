"""Frozen bundles and ledgers of every released format version stay verifiable."""
