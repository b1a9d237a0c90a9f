"""Change what model servers are served: activate an installed release, or roll back to one (SPEC 7.5)."""
