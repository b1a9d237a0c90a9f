"""``airlift low``: one module a group of verbs; each loads what it needs when it runs."""
