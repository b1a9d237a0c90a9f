"""One component of a release manifest, and all that is said of it: its files, source, parents, data, waivers. Pure.

Each thing that a manifest says of a component has a module with its value, and with how it is parsed and written
(SPEC 5.1). What holds between components is the release's.
"""
