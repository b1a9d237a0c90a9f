"""What each type of entry says: a frozen value each, parsed from an entry's ``detail`` and written to it (SPEC 9.2).

Only this room, and the standalone verifier, know the names of the types and the keys of a detail. A value is parsed
when somebody asks for it (:mod:`airlift.ledger.details`), not when an entry is loaded. The bytes of a leaf come
from the detail as it was written, never from a value: so keys that a later version adds survive.
"""
