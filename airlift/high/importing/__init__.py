"""Import a bundle: rebuild what it brings in staging, install it, commit it to the ledger (SPEC 7).

``import_bundle`` holds the order of steps; ``preview`` goes as far as one can without changing anything; ``repair``
rebuilds what was damaged since.
"""
