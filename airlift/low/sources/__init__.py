"""Fetch what a release manifest names by address: from web servers, buckets and registries (SPEC L2.19).

``fetch`` holds the steps, ``foresee`` what they would do, ``order`` whom to ask for what, ``plan`` what is wanted
and what pins it, ``land`` how bytes come in. ``web`` and ``buckets`` open sockets; beside ``low.release.hub`` nothing
else does.
"""
