"""The documents that travel: release manifest (5.1), revocations (5.4), bundle manifest (6.2), volumes (6.4)."""
