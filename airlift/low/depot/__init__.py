"""The depot on disk: layout, content, log, and what it remembers of enclaves, bundles, attestations (SPEC 11)."""
