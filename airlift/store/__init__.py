"""What a depot and an enclave keep on disk in the same way, each in its own folder.

``content`` keeps files by their digest, and ``documents`` the small signed texts; ``references`` finds a release by
the name that a person typed; ``folders`` builds a folder that appears whole or not at all. Nothing here knows which
side it works for: an error that differs between the sides is handed in.
"""
