"""The forms: one module a layout, each a pure function from what is served to a plan (SPEC 8.7)."""
