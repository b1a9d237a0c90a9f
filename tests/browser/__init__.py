"""The report in a real browser: accessible, still, self-contained."""
