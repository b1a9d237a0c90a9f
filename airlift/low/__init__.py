"""The low side: gather releases into a depot, have them signed, pack them into bundles (docs/SPEC.md 5).

A module is a verb with one public function; ``depot`` is the place they work in.
"""
