"""airlift's verifier as a client of tuf-conformance, and the suite's repository in airlift's profile of TUF."""
