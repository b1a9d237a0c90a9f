"""What goes back from high to low, as documents: a receipt says what an enclave holds (SPEC 9.12). Pure.

Both sides need these formats: the high side writes them, the low side reads them.
"""
