"""What is coded against what: which bytes of the base belong to each run of a target file (SPEC 13, matching)."""
