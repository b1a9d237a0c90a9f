"""Which bytes of the base each run of a target file is coded against (SPEC 13, matching).

``match`` finds tensors by name, shape or content, and ``moved`` opaque bytes by ``anchor`` and ``runs``. Both give
``segment`` values, which are cut into blocks. ``adapters`` pairs LoRA factors with tensors, ``conversions`` tensors
with what they may have been made from (tried on ``windows``), and ``hint`` carries what was found out to the encoder.
"""
