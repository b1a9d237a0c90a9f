"""What goes back from high to low: a receipt says what an enclave holds, a request what it lacks. Pure.

Each is a document that the ledger's key signs (SPEC 9.12, 9.14), and a code that a person types (SPEC 9.15).
Both sides need these formats: the high side writes them, the low side reads them.
"""
