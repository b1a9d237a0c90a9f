"""Models that vendors published in Python packages: airlift beside generic tools that see a whole release at once.

``packages`` has the table of cases, ``generic`` the tools, ``measure`` runs all of them, ``figures`` keeps what was
measured and judges it, ``page`` writes it down.
"""
