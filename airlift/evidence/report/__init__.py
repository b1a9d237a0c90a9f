"""The report: one HTML page for people, and the pictures in it (SPEC 15.6).

``page`` puts the sections together; ``origins`` (with ``graph``), ``timeline`` and ``ledger_sections`` are sections.
``markup`` makes elements and escapes text, ``style`` is the style sheet.
"""
