"""What several rooms' tests build on: tiny tensors, throw-away keys, a depot."""
