"""The commands of an enclave's owners: tests of a release before it runs, and what follows a switch (SPEC 7.10).

``confine`` builds what keeps a command in bounds, ``run`` runs one to its end, ``hooks`` runs those of a switch.
"""
