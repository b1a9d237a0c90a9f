"""A second importer, written from docs/SPEC.md alone, and the tests that hold the real one against it.

The rule under which it was written: whoever wrote it had docs/SPEC.md, the schemas in ``manifests/``, the vectors
below ``tests/vectors``, and bundles and enclaves that the command line had made, and did not look into ``airlift/``
(nor into the tests that quote its code) before every module of this package but the tests stood. It shares nothing
with the real one: no code, no NumPy, no TUF library; only ``cryptography`` for signatures and ``zstandard`` for
frames. So where both agree, the specification says enough for two people to build the same thing; where they did
not, the specification was mended, or whichever of the two was wrong.

It is slow (every number of every tensor is a Python object for a moment), writes nothing into an enclave and nothing
to a ledger. It does section 7.1 up to "files rebuilt" and the vendors' signatures over them: it reads volumes,
decides whom to trust, rebuilds the files of the release in a folder of its own, and says what it installed or which
error of section 10 it ends with.

- ``strict`` (section 3), ``documents`` (5, 6.2, 6.4), ``trust`` (4, 5.5), ``inventory`` and ``reader`` (6.4),
  ``chunk`` (6.3), ``codecs`` (12), ``policy`` (8.2), ``enclave`` (what is held: 8.1, 9.2), ``rebuild`` (7.3),
  ``collect`` (6.7, 7.8),
  ``importer`` (7.1, 7.2).
- ``python -m tests.second ENCLAVE OUTPUT VOLUME...`` runs it.

What it leaves out: activation and what is judged for it alone (7.5: quorum, floors, requirements), the bypass (7.7),
space, and everything that writes.
"""
