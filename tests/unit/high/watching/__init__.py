"""Unit tests, in rooms like those of airlift."""
