"""The ledger: an append-only Merkle log of everything that was decided on the high side (SPEC 9).

``entries`` are the values that each type of entry says, ``entry`` the form that is stored, ``details`` reads the one
from the other. ``note``, ``tree`` and ``checkpoint`` are the signed log's formats; ``log`` keeps all of them in one
SQLite file (``database``) with an index of their ``terms``. ``state`` is what the entries add up to, ``kept_state``
the signed file that spares adding them up. ``audit`` verifies a whole ledger, ``export`` writes, reads and verifies
one as text, ``entry_proof`` proves one entry. ``answers`` answers questions, and proves its answers.
``enclave_folder`` is where all of it lies, beside the documents and files that it names.
"""
