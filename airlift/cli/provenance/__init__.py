"""``airlift provenance``: ask the record, verify it, keep copies of it, and tell what a release changed."""
