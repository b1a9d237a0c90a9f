"""Random steps of an enclave, judged by rules that were written from docs/SPEC.md alone."""
