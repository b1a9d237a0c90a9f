"""The low side: gather releases into a depot, have them signed, pack them into bundles (docs/SPEC.md 5).

Most modules are a verb with one public function; ``depot`` is the folder on disk that they work in.
"""
