"""Import a bundle: rebuild what it brings in staging, install it, commit it to the ledger (SPEC 7).

``run`` holds the order of steps; ``plan`` does the same without changing anything.
"""
