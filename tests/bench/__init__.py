"""Measurements, always beside a peer: python -m tests.bench."""
