"""Intake: how files become a component, on either side: chosen, found, judged by the gate, read once (SPEC L2).

``collect`` reads what ``choose`` keeps of a source, after ``gate`` has judged it; ``examine`` judges a release that
is laid out.
"""
