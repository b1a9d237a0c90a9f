"""The depot on disk: its layout, content and log, its records of enclaves, bundles and attestations (SPEC 11)."""
