"""File formats as spans of typed elements, and which base bytes to code a target against.

Promise: whatever a file holds, its spans tile it, so that any file can be carried. A file that is not what its name
and its start say is one opaque span. Nothing here changes a file, and no tensor name is ever used as a path.
"""
