"""Commands: what the owners of an enclave or a depot want to be run, bounded, and never believed (SPEC 7.10).

``confine`` builds what keeps a command in bounds, ``run`` runs one to its end.
"""
