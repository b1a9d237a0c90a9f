"""Who decides: policy's objections, attestations that count, approvals, and the one bypass (SPEC 4.5, 7.7, 8.2)."""
