"""The enclave on disk, and what needs nothing but it (SPEC 8).

Making it, recovering it after a crash, checking its content, removing what is no longer needed, telling its state,
and the policy in force.
"""
