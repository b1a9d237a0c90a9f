"""Relay: hand on original signed volumes to sub-enclaves, which do not trust this one for them (SPEC 7.12).

What is handed on is verified anew each time, judged by policy, copied byte for byte, and recorded before it appears.
"""
