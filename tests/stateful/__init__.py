"""All commands of both sides in random order, held against what docs/SPEC.md says of depots and enclaves."""
