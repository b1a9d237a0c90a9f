"""Drift: files of one component that do not agree with each other (SPEC L2.13, L2.14).

``facts`` reads what a file states (``documents``, ``tensors``, ``tokens`` know the formats), ``compare`` holds the
facts of a component against each other. Facts are small, and comparing them reads nothing.
"""
