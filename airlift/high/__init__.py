"""The enclave: verify, rebuild, install, activate, roll back, recover. No network, no compiler (SPEC 7, 8).

One type per step: volumes -> VerifiedBundle -> StagedRelease -> InstalledRelease -> active. The ledger's transaction
is the commit point of an import and of an activation; every pointer on disk is derived from it after a crash.
"""
