"""Pack a published release into volumes: plan, code, cut, publish; check, renew and withdraw bundles (SPEC 6).

``make_bundle`` holds the order of steps.
"""
