"""The commands of an enclave's owners around a switch: ``hooks`` (SPEC 7.10-4)."""
