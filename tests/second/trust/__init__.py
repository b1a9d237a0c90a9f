"""Whom to trust (section 4, 5.5): keys, TUF metadata by hand, the walk along it, attestations, vendors."""
