"""What an accreditation asks for, in the formats that it reads: pure functions from facts to documents (SPEC 15).

``Facts`` is everything that a document may say, gathered and verified by the caller; each format is one module with
one public function ``format(facts, ...)``. Nothing here reads a disk or a clock.

``controls`` says which evidence for a control is in the facts, ``names`` gives identifiers. ``documents`` are the
formats of other tools, ``report`` is the page for people.
"""
