"""Unit tests of what comes back from enclaves."""
