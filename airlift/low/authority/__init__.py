"""Who signs on the low side: make a depot, propose, show and sign changes of its metadata, rotate keys (SPEC 4.3)."""
