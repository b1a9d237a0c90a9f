"""Questions to the ledger (SPEC 9.9, 9.11).

``questions`` finds entries by the index of the log, ``lineage`` makes trees of where things come from, and
``answer_proof`` makes the proof that goes with an answer, so that it can be checked without the ledger.
"""
