"""What an enclave allows: markings, requirements, floors, quorum, staleness. Pure: judges plain values.

Every judgement is a list of objections (errors with exit code 6 that nobody has raised yet), so that ``high plan``
can show them all and an import can raise the first.

``document`` is the policy as a value, ``objections`` are what it has against a bundle or release. ``demands`` say
whose word is needed (a depot's policy has nothing else), and ``quorum`` judges them: ``votes`` finds each last
statement, ``holders`` who is one person, ``assignment`` whether people suffice where roles bar each other.
``floors``, ``freshness`` and ``revocation`` say what is too old, or revoked, of a release; ``versions`` compares.
"""
