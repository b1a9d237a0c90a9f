"""Serving: installed releases in the layouts that other programs read, and what of them follows (SPEC 8.7).

How what follows goes along with a switch: :mod:`airlift.high.enclave.switching.follow`.
"""
