"""Prove a bundle: trust, destination, replay, documents and inventory (SPEC 7.2), or tell what volumes claim (6.6).

Only ``verify_bundle`` makes a :class:`VerifiedBundle`, and nothing else can be imported.
"""
