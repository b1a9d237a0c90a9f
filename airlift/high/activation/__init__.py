"""Switch what is served: activate a release, or roll back to one (SPEC 7.5).

Intent in the ledger, one rename of the link ``active``, commit in the ledger.
"""
