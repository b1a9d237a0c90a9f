"""A hole in what enclaves run: release the hot fix, revoke what it mends, cut one set for all (SPEC L4.16).

Nothing here makes what other rooms make; ``respond`` holds the order of steps.
"""
