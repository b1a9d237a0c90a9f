"""The report: one HTML page for people, and the pictures in it (SPEC 15.6)."""
