"""Gather a release: find its files, judge them, digest them, and propose it to the release authority (SPEC 5.2).

``make_release`` holds the order of steps. Only ``hub.endpoint`` opens sockets.
"""
