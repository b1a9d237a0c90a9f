"""The enclave: verify, rebuild, install, activate, roll back, recover. No network, no compiler (SPEC 7, 8).

One type per step: volumes -> VerifiedBundle -> StagedRelease -> InstalledRelease -> active. The ledger's transaction
is the commit point of an import and of an activation; every pointer on disk is derived from it after a crash.

Sub-rooms, each using only those named before it: ``enclave`` (the folder), ``verification`` (is a bundle what was
signed?), ``governance`` (may it come in, may it run?), ``activation`` (what is served), then ``importing``,
``record``, ``registering`` (what was trained inside) and ``relaying`` (original volumes, handed on), which do not use
each other, and ``watching`` (a drop folder), which imports.
"""
