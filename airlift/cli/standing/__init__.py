"""``airlift`` alone, or ``airlift status``: where somebody stands, on either side, and what comes next."""
