"""What a depot and an enclave keep on disk in the same way, each in its own folder.

``content`` keeps files by their digest, and ``documents`` the small signed texts; ``release_lookup`` finds a release
by the name that a person typed; ``whole_folders`` builds a folder that appears whole or not at all, and
``release_tree`` the tree of a release. Nothing here knows which side it works for: an error that differs between the
sides is handed in.
"""
