"""What an enclave allows: markings, requirements, floors, quorum, staleness. Pure: judges plain values.

Every judgement is a list of objections (errors with exit code 6 that nobody has raised yet), so that ``high plan``
can show them all and an import can raise the first.

``document`` is the policy as a value, ``objections`` are what it has against a bundle or release, ``votes`` finds
each key's last statement, ``versions`` compares versions, ``revocation`` says what is revoked of a release.
"""
